-- Of the 10 new columns of three tables, those that are there.
select count(*) from information_schema.columns as c
where c.table_schema = 'public'
  and (c.table_name, c.column_name) in (
    ('customer_users', 'google_id'), ('customer_users', 'apple_id'), ('customer_users', 'username'), ('customer_users', 'referral_code'),
    ('customer_subscriptions', 'partner_id'), ('customer_subscriptions', 'referral_code'), ('customer_subscriptions', 'referral_source'),
    ('ts_prediction_mapped', 'credit_cost'), ('ts_prediction_mapped', 'purchased_by_user_id'), ('ts_prediction_mapped', 'purchased_at'))

-- Of the 17 new tables, those that are there.
select count(to_regclass('public.' || w.name)) as there,
       coalesce(string_agg(w.name, ', ') filter (where to_regclass('public.' || w.name) is null), 'none') as missing
from (values
  ('customer_oauth_identities'), ('customer_xp'), ('customer_xp_transactions'), ('badges'), ('customer_badges'), ('customer_credits'),
  ('customer_credit_transactions'), ('customer_ad_views'), ('referrals'), ('partners'), ('partner_analytics'), ('match_comments'),
  ('match_comment_likes'), ('customer_daily_rewards'), ('blog_posts'), ('notification_templates'), ('scheduled_notifications')
) as w (name)

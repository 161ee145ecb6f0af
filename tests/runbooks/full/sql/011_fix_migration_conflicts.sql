-- Conflicts of three tables.
alter table agent_recommendations add column workspace_id uuid;

create function touch() returns trigger language plpgsql as $$
begin
  new.updated_at := now();
  return new;
end;
$$;

update agent_trust_scores set batch = {{ batch_size }} where name = {{ folder }};

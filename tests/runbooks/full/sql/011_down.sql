alter table agent_recommendations drop column workspace_id;

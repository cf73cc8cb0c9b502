drop view if exists attempt;
drop table if exists memo, worker, event, edge, task, build, organisation cascade;
drop schema if exists journal cascade;
drop function if exists factory_now();
do $$
begin
    drop owned by factory_tenant;
    drop role factory_tenant;
exception
    when undefined_object or dependent_objects_still_exist then null;  -- other databases of this server still use it
end $$;

-- Row-level security. factory_tenant is what requests run as: SET LOCAL ROLE factory_tenant, then
-- set_config('factory.org', <uuid>, true). The setting reads as '' after the transaction, hence nullif; no setting sees
-- no rows. Security is FORCED, so the owner is bound by policies too; the journal runs as the owner and serves every
-- organisation, which the owner's own policy says in the open instead of by silent exemption.
do $$
begin
    if not exists (select from pg_roles where rolname = 'factory_tenant') then
        create role factory_tenant nologin;
    end if;
exception
    when duplicate_object or unique_violation then null;  -- another database of this server was migrated just now
end $$;

do $$
begin
    if not pg_has_role(current_user, 'factory_tenant', 'member') then
        execute format('grant factory_tenant to %I', current_user);
    end if;
end $$;

do $$
declare
    name text;
begin
    foreach name in array array['organisation', 'build', 'task', 'edge', 'event', 'memo'] loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format(
            'create policy tenant on %I to factory_tenant using (%I = nullif(current_setting(''factory.org'', true), '''')::uuid)',
            name, case name when 'organisation' then 'id' else 'org_id' end);
        execute format('create policy owner on %I to %I using (true)', name, current_user);
    end loop;
end $$;

-- Tenants read. What changes a build goes through the functions, which keep the invariants.
grant usage on schema public to factory_tenant;
grant select on organisation, build, task, edge, event, memo, attempt to factory_tenant;

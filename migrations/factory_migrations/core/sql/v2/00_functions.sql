-- The journal's functions are replaced as a whole: each version of the journal has its own folder, and a database holds
-- the functions of one. Tables stay, and change by "alter".
drop schema if exists journal cascade;
create schema journal;

-- Row-level security for a table of tenants' rows, as 02_tenancy.sql gives it to the first ones.
create procedure journal.protect(p_table text, p_column text default 'org_id')
language plpgsql as $$
begin
    execute format('alter table %I enable row level security', p_table);
    execute format('alter table %I force row level security', p_table);
    execute format(
        'create policy tenant on %I to factory_tenant using (%I = nullif(current_setting(''factory.org'', true), '''')::uuid)',
        p_table, p_column);
    execute format('create policy owner on %I to %I using (true)', p_table, current_user);
    execute format('grant select on %I to factory_tenant', p_table);
end $$;

-- Where a task stands in its build's queue from p_ready on. Priority counts milliseconds of the path that waits for it; ten
-- milliseconds of waiting count as one of them.
create function journal.rank(p_priority integer, p_ready timestamptz) returns double precision
language sql immutable as $$
    select extract(epoch from p_ready)::double precision * 100 - p_priority
$$;

-- What the shortest attempt costs, in seconds of a slot: even a task of no length takes its turn.
create function journal.toll() returns double precision language sql immutable as 'select 0.1::double precision';

-- For how many seconds in all a task is parked before it fails: a day, since limits are counted by the day at most.
create function journal.patience() returns double precision language sql immutable as 'select 86400::double precision';

-- Kinds of agents that do nothing: their tasks end by themselves when what is before them has ended.
create function journal.quiet(p_agent text) returns boolean language sql immutable as $$
    select p_agent in ('barrier', 'coordinator')
$$;

-- Which kinds count against max_agents: what the kernel does itself does not (factory_core/contracts/plan.py).
create function journal.counts(p_agent text) returns boolean language sql immutable as $$
    select p_agent not in ('barrier', 'coordinator', 'merger')
$$;

-- Facts that an agent keeps about pieces of its work, beside the outcomes that "conclude" keeps. Under equal digests the
-- first stays, so that repeating it changes nothing; p_instead: the last, of work that a person wants done afresh.
create function journal.remember(p_org uuid, p_digest text[], p_result text[], p_instead boolean default false) returns void
language sql as $$
    insert into memo (org_id, digest, result, created_at)
    select distinct on (digest) p_org, digest, result::jsonb, factory_now()
    from unnest(p_digest, p_result) as i (digest, result)
    order by digest
    on conflict (org_id, digest) do update set result = excluded.result, created_at = excluded.created_at where p_instead
$$;

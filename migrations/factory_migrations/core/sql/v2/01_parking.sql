-- parked: for how many seconds attempts at the task were sent away in a row, such as by a model's rate limit.
alter table task add column parked double precision not null default 0;

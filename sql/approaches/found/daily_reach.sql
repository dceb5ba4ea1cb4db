-- daily_reach: its rows that this commit changed, as though new ones had been there before.
-- reads: daily_reach, delta_daily_reach
select t.* from daily_reach as t semi join delta_daily_reach as d on d.day = t.day and d.channel = t.channel

-- held: how many events the daily rows of a day count: of a sealed day, all that is known of what it held. Null where no table that is on counts them.
-- grain: one row   reads: daily_channel, daily_reach, hourly_traffic, daily_sales, daily_region, hourly_sales, table_switch   writes: held
-- parameters: day
-- Each of the tables counts every event of its stream once; one that was off, or has lost rows, counts fewer.
create or replace temp table held as
with counted as (
    select 'daily_channel' as name, sum(touchpoints) as touchpoints, null as orders from daily_channel where day = $day
    union all select 'daily_reach', sum(touchpoints), null from daily_reach where day = $day
    union all select 'hourly_traffic', sum(touchpoints), null from hourly_traffic where day = $day
    union all select 'daily_sales', null, sum(orders) from daily_sales where day = $day
    union all select 'daily_region', null, sum(orders) from daily_region where day = $day
    union all select 'hourly_sales', null, sum(orders) from hourly_sales where day = $day
),
known as (
    select c.name in ('daily_channel', 'daily_reach', 'hourly_traffic') as of_touchpoints,
           coalesce(c.touchpoints, c.orders, case when s.is_on then 0 end) as events
    from counted as c left join table_switch as s on s.name = c.name
)
select max(events) filter (where of_touchpoints) as touchpoints, max(events) filter (where not of_touchpoints) as orders from known;

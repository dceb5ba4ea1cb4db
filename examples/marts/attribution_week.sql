-- attribution_week: attribution_channel with touches of the last week before the order, in place of the last thirty days.
/*
like = "attribution_channel"
[parameters]
touch_window_hours = 168
*/

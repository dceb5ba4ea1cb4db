-- fit: the clusters of the last fit that is not of a later day.
select cluster, label, members, centre, mean, deviation
from segment_cluster_fit
where as_of <= $as_of
qualify dense_rank() over (order by as_of desc, fit_id desc) = 1
order by cluster

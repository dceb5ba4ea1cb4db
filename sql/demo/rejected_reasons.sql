-- rejected_reasons: why messages were rejected, with the first of each kind.
-- grain: reason   reads: rejected
select reason, count(*) as messages, min_by(topic || '/' || partition || ' @ ' || "offset", (topic, partition, "offset")) as place,
       min_by(detail, (topic, partition, "offset")) as detail
from rejected
group by reason
order by messages desc, reason;

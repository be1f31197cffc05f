/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints: /sys/kernel/tracing/events/blkfilter/ */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM blkfilter

#if !defined(BLKFILTER_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define BLKFILTER_TRACE_H

#include <linux/tracepoint.h>
#include "core.h"

DECLARE_EVENT_CLASS(blkfilter_attachment,
	TP_PROTO(const struct blkfilter_instance *inst),
	TP_ARGS(inst),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, altitude)
		__field(u32, reason)
		__array(char, filter, BLKFILTER_NAME_LENGTH)
	),
	TP_fast_assign(
		__entry->dev = inst->dev->devt;
		__entry->altitude = inst->altitude;
		__entry->reason = inst->reason;
		strscpy(__entry->filter, inst->ops->name,
			BLKFILTER_NAME_LENGTH);
	),
	TP_printk("%d,%d filter=%s altitude=%llu.%06llu reason=%u",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->filter,
		  __entry->altitude / BLKFILTER_ALTITUDE_UNIT,
		  __entry->altitude % BLKFILTER_ALTITUDE_UNIT, __entry->reason)
);

DEFINE_EVENT(blkfilter_attachment, blkfilter_attach,
	TP_PROTO(const struct blkfilter_instance *inst), TP_ARGS(inst));
DEFINE_EVENT(blkfilter_attachment, blkfilter_detach,
	TP_PROTO(const struct blkfilter_instance *inst), TP_ARGS(inst));

DECLARE_EVENT_CLASS(blkfilter_filter_bio,
	TP_PROTO(const struct blkfilter *flt, const struct bio *bio),
	TP_ARGS(flt, bio),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, sector)
		__field(u32, sectors)
		__field(u32, op)
		__array(char, filter, BLKFILTER_NAME_LENGTH)
	),
	TP_fast_assign(
		__entry->dev = bio->bi_bdev->bd_dev;
		__entry->sector = bio->bi_iter.bi_sector;
		__entry->sectors = bio_sectors(bio);
		__entry->op = (__force u32)bio->bi_opf;
		strscpy(__entry->filter, flt->ops->name, BLKFILTER_NAME_LENGTH);
	),
	TP_printk("%d,%d filter=%s op=%#x sector=%llu sectors=%u",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->filter,
		  __entry->op, __entry->sector, __entry->sectors)
);

DEFINE_EVENT(blkfilter_filter_bio, blkfilter_take,
	TP_PROTO(const struct blkfilter *flt, const struct bio *bio),
	TP_ARGS(flt, bio));
DEFINE_EVENT(blkfilter_filter_bio, blkfilter_resume,
	TP_PROTO(const struct blkfilter *flt, const struct bio *bio),
	TP_ARGS(flt, bio));

TRACE_EVENT(blkfilter_park,
	TP_PROTO(const struct bio *bio),
	TP_ARGS(bio),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, sector)
		__field(u32, sectors)
		__field(u32, op)
	),
	TP_fast_assign(
		__entry->dev = bio->bi_bdev->bd_dev;
		__entry->sector = bio->bi_iter.bi_sector;
		__entry->sectors = bio_sectors(bio);
		__entry->op = (__force u32)bio->bi_opf;
	),
	TP_printk("%d,%d op=%#x sector=%llu sectors=%u",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->op,
		  __entry->sector, __entry->sectors)
);

TRACE_EVENT(blkfilter_point,
	TP_PROTO(u32 disks, u64 closed_ns, int result),
	TP_ARGS(disks, closed_ns, result),
	TP_STRUCT__entry(
		__field(u32, disks)
		__field(u64, closed_ns)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->disks = disks;
		__entry->closed_ns = closed_ns;
		__entry->result = result;
	),
	TP_printk("disks=%u closed_ns=%llu result=%d", __entry->disks,
		  __entry->closed_ns, __entry->result)
);

#endif /* BLKFILTER_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

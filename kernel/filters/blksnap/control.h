/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef BLKSNAP_CONTROL_H
#define BLKSNAP_CONTROL_H

int snap_control_init(void);
void snap_control_exit(void);

#endif /* BLKSNAP_CONTROL_H */

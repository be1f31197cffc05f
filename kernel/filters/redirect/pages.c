// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of our own for an application's data.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include "rd.h"

/* A vector of @n entries; they need not be filled in. */
static bool rd_io_vec(struct rd_io *io, u32 n, gfp_t memory)
{
	io->vec = io->inline_vec;
	if (n > RD_INLINE_VECS)
		io->vec = kmalloc_array(n, sizeof(*io->vec), memory);
	return io->vec;
}

void rd_io_pages_free(struct rd_io *io)
{
	u32 i;

	for (i = 0; i < io->nr_vec; i++)
		mempool_free(io->vec[i].bv_page, &io->job->pages);
	io->nr_vec = 0;
	if (io->vec != io->inline_vec)
		kfree(io->vec);
}

/*
 * rd_io_pages() - pages for all of it, not from what is kept in reserve
 * @memory: how to get them.
 *
 * Return: false: there are none now.
 */
bool rd_io_pages(struct rd_io *io, u32 bytes, gfp_t memory)
{
	u32 n = DIV_ROUND_UP(bytes, PAGE_SIZE);

	if (!rd_io_vec(io, n, memory))
		return false;
	for (io->nr_vec = 0; io->nr_vec < n; io->nr_vec++) {
		u32 left = bytes - io->nr_vec * PAGE_SIZE;
		struct page *page = alloc_page(memory);

		if (!page) {
			rd_io_pages_free(io);
			return false;
		}
		io->vec[io->nr_vec] = (struct bio_vec){
			.bv_page = page, .bv_len = min_t(u32, left, PAGE_SIZE),
		};
	}
	return true;
}

/*
 * rd_io_some_pages() - pages for some of it, maybe from what is kept in reserve
 *
 * In the worker it waits for one page, which comes back when a bio completes.
 *
 * Return: bytes, whole pages but for the last; 0: none now.
 */
u32 rd_io_some_pages(struct rd_io *io, u32 bytes)
{
	struct rd_job *job = io->job;
	struct page *page = mempool_alloc(&job->pages, rd_memory(job));
	u32 n = 0, got = 0;

	io->vec = io->inline_vec;
	while (page) {
		u32 length = min_t(u32, bytes - got, PAGE_SIZE);

		io->vec[n++] = (struct bio_vec){
			.bv_page = page, .bv_len = length,
		};
		got += length;
		if (got == bytes || n == RD_INLINE_VECS)
			break;
		page = alloc_page(GFP_NOWAIT | __GFP_NOWARN);
	}
	io->nr_vec = n;
	return got;
}

// SPDX-License-Identifier: MIT
#include "backup/serve.hpp"

#include "backup/program.hpp"

#include <blkfilter/file_descriptor.hpp>

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

namespace filterctl::backup {

namespace {

/// A file in memory, which goes with the process that reads it. Its path; empty: it cannot be made.
std::string file_of(const std::string& text) {
    const int file = memfd_create("extents", 0);
    for (std::size_t done = 0; file >= 0 && done < text.size();) {
        const auto part = write(file, text.data() + done, text.size() - done);
        if (part <= 0)
            return {};
        done += static_cast<std::size_t>(part);
    }
    return file < 0 ? std::string{} : fmt::format("/proc/self/fd/{}", file);
}

} // namespace

Failure serve(Session& session, const ServeRequest& request) {
    const SnapshotClient snapshots{session};
    const auto images = snapshots.images(request.snapshot);
    if (!images)
        return images.error();
    const auto image = find_image(*images, request.snapshot, request.device);
    if (!image)
        return image.error();
    std::vector<std::string> words{"nbdkit", "--foreground", "--readonly", "--unix", request.socket};
    if (!request.base.empty())
        words.emplace_back("--filter=extentlist");
    words.insert(words.end(), {"file", image->path});
    if (!request.base.empty()) {
        const auto list = snapshots.extent_list(request.snapshot, image->device, request.base);
        if (!list)
            return list.error();
        const auto file = file_of(*list);
        if (file.empty())
            return {.code = "failed",
                    .message =
                        fmt::format("no memory for a list of what has changed: {}", std::strerror(errno))};
        words.push_back("extentlist=" + file);
    }
    return become_program(words);
}

} // namespace filterctl::backup

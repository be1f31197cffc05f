// SPDX-License-Identifier: MIT
/// @file
/// Where the record of a migration is kept.
#pragma once

#include "loop.hpp"
#include "names.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace filterd::redirects {

struct Place {
    enum class Kind {
        none,   ///< nowhere: a restart before the cut-over means starting again
        target, ///< on the target, behind what the source needs there
        device, ///< at the beginning of a block device
        file,   ///< in a regular file, which a loop device makes a block device of
    };

    Kind kind{Kind::target};
    std::string path{}; ///< of the device, by a lasting name, or of the file

    bool operator==(const Place&) const = default;
};

/// "target"
std::string_view to_string(Place::Kind kind);
/// EINVAL: it is none of these words.
Place::Kind kind_of(const std::string& word);

/// What the path that somebody gives for a record stands for: a device that is there, or a file that may not
/// be yet. EINVAL: neither, or not a whole path.
Place place_at(const std::filesystem::path& path, const Roots& roots);

/// A place as the kernel needs it, for as long as the kernel has not opened it.
struct OpenPlace {
    std::optional<std::filesystem::path> node{}; ///< of the device; nothing: none is needed
    LoopDevice loop{};                           ///< of a file
};

using MakeLoop = std::function<LoopDevice(const std::filesystem::path& file)>;

/// Makes a file of the right size where there is none and @p is_new. ELOOP: it lies on @p source, a number
/// such as "8:1", as far as the kernel tells what lies on what. EEXIST: it has something else in it.
/// EOPNOTSUPP: a restart would lose it. ENOENT: it is not there, nor new.
OpenPlace open_place(const Place& place, const std::string& source, bool is_new, const Roots& roots,
                     const MakeLoop& make_loop);

/// For people: "/var/lib/record by loop0", of a device by the kernel's name.
std::string text_of_record_device(const std::string& name, const Roots& roots);

} // namespace filterd::redirects

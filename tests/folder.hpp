// SPDX-License-Identifier: MIT
/// @file
/// A folder of a test's own.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>

namespace blkfilter::test {

/// Goes with the object, with all that is in it.
class Folder {
public:
    Folder() {
        auto name = (std::filesystem::temp_directory_path() / "blkfilter-test-XXXXXX").string();
        if (!::mkdtemp(name.data()))
            throw std::system_error{errno, std::generic_category(), name};
        path_ = name;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

/// All that is in a file; empty when it is not there.
inline std::string text_in(const std::filesystem::path& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

/// Makes a file, and the folders that it is in.
inline void write_file(const std::filesystem::path& path, std::string_view text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream{path, std::ios::binary} << text;
}

} // namespace blkfilter::test

// SPDX-License-Identifier: MIT
#include "client/failure.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace filterctl {

ExitCode exit_code_of(std::string_view code) {
    constexpr std::array<std::pair<std::string_view, ExitCode>, 8> codes{
        {{"failed", ExitCode::failed},
         {"invalid", ExitCode::usage},
         {"denied", ExitCode::failed},
         {"not-found", ExitCode::no_such_thing},
         {"refused", ExitCode::refused},
         {"timeout", ExitCode::timeout},
         {"partly", ExitCode::partly},
         {"unreachable", ExitCode::unreachable}}};
    const auto* found = std::ranges::find(codes, code, &decltype(codes)::value_type::first);
    return found == codes.end() ? ExitCode::failed : found->second;
}

Failure failure_of(const Json& error) {
    Failure failure{.code = text_of(error, "code"),
                    .message = text_of(error, "message"),
                    .details = member(error, "details")};
    if (failure.message.empty())
        failure.message = "filterd gives no reason";
    return failure;
}

Json json_of(const Failure& failure) {
    Json json{{"code", failure.code}, {"message", failure.message}};
    if (!failure.details.is_null())
        json["details"] = failure.details;
    return json;
}

} // namespace filterctl

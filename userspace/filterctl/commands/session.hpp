// SPDX-License-Identifier: MIT
/// @file
/// What a command works with: the daemon, standard output, and whoever reads standard error.
#pragma once

#include "client/client.hpp"
#include "client/progress.hpp"
#include "output/output.hpp"

#include <optional>
#include <ostream>
#include <string>
#include <string_view>

namespace filterctl {

/// Options of every command.
struct Globals {
    std::string socket{usual_socket};
    bool json{};
    std::optional<double> timeout_seconds;
};

/// For how long a reply is waited for, in seconds, unless --timeout says so: what only looks something up,
/// what computes, and what changes something, which nobody should give up half-way.
inline constexpr std::optional<double> soon{10};
inline constexpr std::optional<double> a_while{60};
inline constexpr std::optional<double> for_ever{};

/// Of a reply that says nothing to people.
std::string nothing_view(const Json& reply);

class Session {
public:
    /// @p talk is standard error. What is given must outlive the session.
    Session(const Globals& globals, Output& output, std::ostream& talk, bool talk_is_terminal)
        : globals_{&globals}, output_{&output}, talk_{&talk}, talk_is_terminal_{talk_is_terminal} {}

    [[nodiscard]] const Globals& globals() const { return *globals_; }
    [[nodiscard]] Output& output() const { return *output_; }

    /// Asks the daemon and shows how far it is; connects first, if need be. Errors: those of Client.
    Result<Json> ask(std::string_view method, const Json& params, const std::optional<double>& usual_seconds);

    /// The same of what may be asked twice: when the connection breaks, also one that has been idle for
    /// hours, it is asked again, for some seconds, of a filterd that was started meanwhile.
    Result<Json> ask_again(std::string_view method, const Json& params,
                           const std::optional<double>& usual_seconds);

    /// The connection. Errors: of Client::connect().
    Result<Client*> client();

    /// Until when --timeout allows to wait; @p usual_seconds without it.
    [[nodiscard]] Deadline deadline(const std::optional<double>& usual_seconds) const;

    /// What makes of a reply what people read.
    using View = std::string (*)(const Json&);

    /// Prints a reply: as a document with --json, else as @p view makes it.
    void show(const Json& reply, View view) const;

    /// Asks and shows, which is what most commands do.
    Result<ExitCode> ask_and_show(std::string_view method, const Json& params,
                                  const std::optional<double>& usual_seconds, View view);

    /// For what this program does itself.
    [[nodiscard]] ProgressDisplay progress_display() const {
        return ProgressDisplay{*talk_, talk_is_terminal_};
    }

    /// A remark for people.
    void say(std::string_view line) const;

    /// Says why the program fails; with --json a document too, unless one has been printed.
    void say(const Failure& failure) const;

private:
    const Globals* globals_;
    Output* output_;
    std::ostream* talk_;
    bool talk_is_terminal_;
    std::optional<Client> client_;
    bool was_connected_{};
};

} // namespace filterctl

// SPDX-License-Identifier: MIT
#include "commands/completion.hpp"
#include "commands/command_line.hpp"
#include "output/records.hpp"

#include <algorithm>

namespace filterctl {

namespace {

/// For all questions to the daemon together.
constexpr double limit_seconds = 1;

/// Where on the command line one is: the command, what it has of arguments, and an option without its value.
class Position {
public:
    explicit Position(const CLI::App& app) : app_{&app} {}

    void advance(const std::string& word) {
        if (option_) {
            option_ = nullptr;
        } else if (word.starts_with('-')) {
            const auto* option = find_option(word);
            if (option && option->get_items_expected_max() > 0)
                option_ = option;
        } else if (const auto* command = find_command(word)) {
            app_ = command;
        } else {
            ++arguments_;
        }
    }

    /// The argument whose value comes now; nullptr when none does.
    [[nodiscard]] const CLI::Option* argument() const {
        if (option_)
            return option_;
        std::size_t place = 0;
        const CLI::Option* last = nullptr;
        for (const auto* option :
             app_->get_options([](const CLI::Option* one) { return one->get_positional(); })) {
            last = option;
            if (place++ == arguments_)
                return option;
        }
        return last && last->get_items_expected_max() > 1 ? last : nullptr;
    }

    [[nodiscard]] bool wants_value() const { return option_; }

    [[nodiscard]] std::vector<std::string> commands() const {
        std::vector<std::string> names;
        for (const auto* command : app_->get_subcommands([](const CLI::App*) { return true; }))
            names.push_back(command->get_name());
        return names;
    }

    /// Those of the command, and of all that it is part of.
    [[nodiscard]] std::vector<std::string> options() const {
        std::vector<std::string> names;
        for (const auto* app = app_; app; app = app->get_parent())
            for (const auto* option : app->get_options())
                for (const auto& name : option->get_lnames())
                    names.push_back("--" + name);
        return names;
    }

private:
    [[nodiscard]] const CLI::App* find_command(const std::string& word) const {
        const auto all = app_->get_subcommands([&](const CLI::App* one) { return one->check_name(word); });
        return all.empty() ? nullptr : all.front();
    }

    [[nodiscard]] const CLI::Option* find_option(const std::string& word) const {
        for (const auto* app = app_; app; app = app->get_parent())
            if (const auto* option = app->get_option_no_throw(word))
                return option;
        return nullptr;
    }

    const CLI::App* app_;
    const CLI::Option* option_{};
    std::size_t arguments_{};
};

/// Asks for each kind when it is wanted.
class DaemonNames final : public Names {
public:
    DaemonNames(std::string socket, std::chrono::steady_clock::time_point deadline)
        : socket_{std::move(socket)}, deadline_{deadline} {}

    std::vector<std::string> of(Hint::Kind kind) override {
        switch (kind) {
        case Hint::Kind::device:
            return declared_and_present(ask("status"));
        case Hint::Kind::filter:
            return texts(list_of(ask("filters"), "filters"), "name");
        case Hint::Kind::group:
            return texts(list_of(ask("status"), "groups"), "name");
        case Hint::Kind::plugin:
            return texts(list_of(ask("plugins"), "plugins"), "name");
        case Hint::Kind::job:
            return texts(list_of(ask("jobs"), "jobs"), "job");
        case Hint::Kind::words:
            break;
        }
        return {};
    }

private:
    Json ask(std::string_view method) {
        const auto left = deadline_ - std::chrono::steady_clock::now();
        auto client = Client::connect(socket_, std::chrono::ceil<std::chrono::milliseconds>(left));
        return client ? client->call(method, Json::object(), deadline_).value_or(nullptr) : nullptr;
    }

    static std::vector<std::string> texts(const Json& records, std::string_view key) {
        std::vector<std::string> texts;
        for (const auto& record : records)
            texts.push_back(cell_of(member(record, key)));
        return texts;
    }

    static std::vector<std::string> declared_and_present(const Json& status) {
        auto names = texts(list_of(status, "devices"), "name");
        const auto add = [&](const Json& present) { names.push_back(text_of(present, "device")); };
        for (const auto& device : list_of(status, "devices"))
            std::ranges::for_each(list_of(device, "present"), add);
        std::ranges::for_each(list_of(status, "others"), add);
        return names;
    }

    std::string socket_;
    std::chrono::steady_clock::time_point deadline_;
};

} // namespace

std::vector<std::string> candidates(const CommandLine& line, std::span<const std::string> words,
                                    Names& names) {
    if (words.empty())
        return {};
    Position position{*line.app};
    for (const auto& word : words.first(words.size() - 1))
        position.advance(word);
    const auto& current = words.back();
    std::vector<std::string> all;
    if (current.starts_with('-') && !position.wants_value())
        all = position.options();
    else if (const auto hint = line.hints.find(position.argument()); hint != line.hints.end())
        all = hint->second.kind == Hint::Kind::words ? hint->second.words : names.of(hint->second.kind);
    if (!position.wants_value())
        std::ranges::copy(position.commands(), std::back_inserter(all));
    std::erase_if(all, [&](const std::string& word) { return !word.starts_with(current); });
    std::ranges::sort(all);
    all.erase(std::ranges::unique(all).begin(), all.end());
    return all;
}

void complete(std::span<const std::string> words, Output& output) {
    CLI::App app;
    CommandLine line{.app = &app};
    Globals globals;
    add_own(line, globals);
    const auto deadline = in_seconds(limit_seconds);
    const auto look = look_at(words);
    // While the first word is typed it may become any noun.
    if (look.noun.empty() || look.noun == words.back() || !line.has_noun(look.noun))
        for (const auto& noun :
             ask_for_nouns(look.globals.socket, limit_seconds).value_or(std::vector<PluginNoun>{}))
            add_plugin_noun(line, noun);
    DaemonNames names{look.globals.socket, deadline};
    for (const auto& word : candidates(line, words, names))
        output.print(word + '\n');
    output.flush();
}

} // namespace filterctl

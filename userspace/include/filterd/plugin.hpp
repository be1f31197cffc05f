// SPDX-License-Identifier: MIT
/// @file
/// A plugin of filterd in C++20: a class, and FILTERD_PLUGIN(). See <filterd/plugin.h> for the rules; needs
/// nothing but the standard library.
///
///     class Mine : public filterd::Plugin {
///     public:
///         std::string options(const filterd::Config& config) override {
///             return "level=" + std::to_string(config["level"].number(1, 9).value_or(5));
///         }
///     };
///     FILTERD_PLUGIN(Mine, "mine", "1.0", "An example", "mine", "mine-module")
///
/// A command, filterctl mine count DEVICE, is a function and a line in a table:
///
///         void count(filterd::Call& call) {
///             std::uint64_t count{};
///             call.control(0, count);
///             call.answer(filterd::Record{}.add("count", count));
///         }
///         static constexpr filterd::Command<Mine> commands[] = {{.name = "count",
///                                                                .description = "Say how many",
///                                                                .flags = FILTERD_DEVICE,
///                                                                .run = &Mine::count}};
#pragma once

#include <filterd/plugin.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <iterator>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace filterd {

/// What a call fails with: to be thrown.
class Failure : public std::runtime_error {
public:
    /// @p code: an errno, positive; 0 for none that fits.
    Failure(int code, const std::string& text) : std::runtime_error{text}, code_{code} {}

    [[nodiscard]] int code() const { return code_; }

private:
    int code_;
};

namespace detail {

/// A copy of what filterd offers: what an older one does not have is NULL. Of each plugin its own, also when
/// several have been built with different versions of this header.
[[gnu::visibility("hidden")]] inline filterd_host services{};

/// Calls a function that an older filterd may not have.
template <class Result, class... Parameters>
Result ask(Result (*filterd_host::*service)(Parameters...), std::type_identity_t<Parameters>... arguments) {
    if (!(services.*service))
        throw Failure{ENOSYS, "this filterd is too old for the plugin"};
    return (services.*service)(arguments...);
}

} // namespace detail

/// What filterd offers; from the constructor of the plugin's class on.
inline const filterd_host& host() {
    return detail::services;
}

/// A line for the journal.
inline void log(filterd_priority priority, const std::string& line) {
    host().log(priority, line.c_str());
}

/// A folder of the plugin's own that stays over restarts; nothing when there is none.
inline std::optional<std::string> state_folder() {
    const char* folder = detail::ask(&filterd_host::state_folder);
    return folder ? std::optional<std::string>{folder} : std::nullopt;
}

/// Runs a command of a shell; its exit status, or a negative errno. See filterd_host::run.
inline int run(const std::string& command, const std::vector<std::string>& environment,
               std::uint32_t seconds) {
    std::vector<const char*> variables;
    variables.reserve(environment.size() + 1);
    for (const auto& variable : environment)
        variables.push_back(variable.c_str());
    variables.push_back(nullptr);
    return detail::ask(&filterd_host::run, command.c_str(), variables.data(), seconds);
}

/// A value of the configuration, or none where a key is not there. What is wrong is reported with its place
/// and read as nothing: filterd refuses the file.
class Config {
public:
    /// Of the filter's own keys.
    explicit Config(const filterd_node* mapping) : Config{mapping, mapping, {}} {}

    /// The value of a key of a mapping.
    [[nodiscard]] Config operator[](const std::string& key) const {
        const auto* node = node_ ? host().find(node_, key.c_str()) : nullptr;
        return {node, node ? node : place_, "'" + key + "'"};
    }

    [[nodiscard]] bool given() const { return node_ != nullptr; }

    [[nodiscard]] std::optional<std::string> text() const {
        const char* value = node_ ? host().text(node_, name_.c_str()) : nullptr;
        return value ? std::optional<std::string>{value} : std::nullopt;
    }

    [[nodiscard]] std::optional<bool> boolean() const { return read<bool>(host().boolean); }

    [[nodiscard]] std::optional<std::uint64_t> number(std::uint64_t least, std::uint64_t most) const {
        return read<std::uint64_t>([=](const filterd_node* node, const char* name, std::uint64_t* value) {
            return host().number(node, name, least, most, value);
        });
    }

    [[nodiscard]] std::optional<std::uint64_t> bytes() const { return read<std::uint64_t>(host().bytes); }

    [[nodiscard]] std::vector<Config> list() const {
        std::vector<Config> values;
        const auto count = node_ ? host().count(node_) : 0;
        if (node_ && count == 0)
            error(name_ + " must be a list with at least one value");
        for (std::size_t i = 0; i < count; ++i) {
            const auto* node = host().at(node_, i);
            values.push_back({node, node, "a value of " + name_});
        }
        return values;
    }

    /// Says what is wrong with the value; with the filter, where the value is not there.
    void error(const std::string& text) const { host().error(place_, text.c_str()); }

private:
    Config(const filterd_node* node, const filterd_node* place, std::string name)
        : node_{node}, place_{place}, name_{std::move(name)} {}

    template <class T, class Read>
    [[nodiscard]] std::optional<T> read(Read&& read_it) const {
        T value{};
        return node_ && read_it(node_, name_.c_str(), &value) ? std::optional{value} : std::nullopt;
    }

    const filterd_node* node_;
    const filterd_node* place_;
    std::string name_;
};

/// A record of an answer: a JSON object. Texts are UTF-8.
class Record {
public:
    /// @p value: a text, a number, a truth, or an optional one, which is null when there is none.
    template <class T>
    Record& add(std::string_view name, const T& value) {
        text_ += text_.empty() ? "" : ",";
        text_ += quoted(name) + ":" + json_of(value);
        return *this;
    }

    [[nodiscard]] std::string json() const { return "{" + text_ + "}"; }

private:
    static std::string json_of(bool value) { return value ? "true" : "false"; }
    static std::string json_of(std::integral auto value) { return std::to_string(value); }
    static std::string json_of(const std::convertible_to<std::string_view> auto& value) {
        return quoted(value);
    }
    template <class T>
    static std::string json_of(const std::optional<T>& value) {
        return value ? json_of(*value) : "null";
    }

    static std::string quoted(std::string_view text) {
        constexpr std::string_view digits = "0123456789abcdef";
        constexpr unsigned first_printable = 0x20;
        std::string json = "\"";
        for (const char c : text) {
            const auto code = static_cast<unsigned char>(c);
            if (code < first_printable)
                json.append("\\u00") += {digits[code / digits.size()], digits[code % digits.size()]};
            else if (c == '"' || c == '\\')
                json += {'\\', c};
            else
                json += c;
        }
        return json + "\"";
    }

    std::string text_;
};

/// One call of a command, with its arguments and its answer.
class Call {
public:
    explicit Call(filterd_call* call) : call_{call} {}

    [[nodiscard]] bool given(const char* name) const { return argument(name) != nullptr; }

    /// An argument. Fails where it was not given, which filterd rules out for one that is required.
    [[nodiscard]] std::string text(const char* name) const {
        const char* value = argument(name);
        return value ? value : throw Failure{EINVAL, missing(name)};
    }

    [[nodiscard]] std::string text(const char* name, const std::string& otherwise) const {
        return given(name) ? text(name) : otherwise;
    }

    /// An argument that is a number or a number of bytes.
    [[nodiscard]] std::uint64_t number(const char* name) const {
        std::uint64_t value{};
        const bool is_there = detail::ask(&filterd_host::number_argument, call_, name, &value);
        return is_there ? value : throw Failure{EINVAL, missing(name)};
    }

    [[nodiscard]] std::uint64_t number(const char* name, std::uint64_t otherwise) const {
        return given(name) ? number(name) : otherwise;
    }

    /// An argument that is given or not.
    [[nodiscard]] bool boolean(const char* name) const { return number(name, 0) != 0; }

    /// What more() has left, when the call goes on with an answer.
    [[nodiscard]] std::optional<std::string> cursor() const {
        const char* value = argument("cursor");
        return value ? std::optional<std::string>{value} : std::nullopt;
    }

    /// The device that the call is about, by the kernel's name; empty when about none.
    [[nodiscard]] std::string device() const {
        const char* name = detail::ask(&filterd_host::device, call_);
        return name ? name : "";
    }

    /// A device of a command with FILTERD_DEVICES.
    struct Device {
        std::string name;     ///< the kernel's
        std::string declared; ///< as the configuration has it; the kernel's when it does not
    };
    [[nodiscard]] std::vector<Device> devices() const {
        std::vector<Device> all;
        while (const char* name = detail::ask(&filterd_host::device_at, call_, all.size())) {
            const char* declared = detail::ask(&filterd_host::declared_at, call_, all.size());
            all.push_back({name, declared ? declared : name});
        }
        return all;
    }

    /// What the configuration says, see filterd_host::setting.
    [[nodiscard]] std::optional<std::string> setting(const char* name) const {
        const char* value = detail::ask(&filterd_host::setting, call_, name);
        return value ? std::optional<std::string>{value} : std::nullopt;
    }

    /// Sends a command to the filter on that device. @p buffer is what the filter reads and where it writes
    /// its answer, whose length is returned. Fails with the filter's errno.
    std::size_t control(std::uint32_t number, std::span<std::byte> buffer) {
        std::size_t length{};
        const int status =
            detail::ask(&filterd_host::control, call_, number, buffer.data(), buffer.size(), &length);
        if (status < 0)
            throw Failure{-status, device() + ": command " + std::to_string(number) + ": " +
                                       std::generic_category().message(-status)};
        return length;
    }

    /// The same with a structure, or a number.
    template <class T>
        requires(std::is_trivially_copyable_v<T> && !std::convertible_to<T&, std::span<std::byte>>)
    std::size_t control(std::uint32_t number, T& argument) {
        return control(number, std::as_writable_bytes(std::span{&argument, 1}));
    }

    /// Adds a record to the answer: the text of a JSON object.
    void answer(const std::string& json) {
        if (!detail::ask(&filterd_host::answer, call_, json.c_str()))
            throw Failure{EMSGSIZE, "the answer is too long, or not the text of a JSON object"};
    }
    void answer(const Record& record) { answer(record.json()); }

    /// Adds text for people, or for other programs, instead of records.
    void print(const std::string& text) {
        if (!detail::ask(&filterd_host::print, call_, text.c_str()))
            throw Failure{EMSGSIZE, "the answer is too long, or there are records in it"};
    }

    /// The answer goes on: whoever asks calls again with this cursor. It best holds all that is needed then.
    void more(const std::string& cursor) { detail::ask(&filterd_host::more, call_, cursor.c_str()); }

    /// How far the call has come, in thousandths, and what it does now.
    void progress(std::uint32_t thousandths, const std::string& text) {
        detail::ask(&filterd_host::progress, call_, thousandths, text.c_str());
    }

private:
    [[nodiscard]] const char* argument(const char* name) const {
        return detail::ask(&filterd_host::argument, call_, name);
    }

    static std::string missing(const std::string& name) { return "'" + name + "' is missing"; }

    filterd_call* call_;
};

/// An argument of a command. What may be left out has a value here.
struct Argument {
    const char* name{};
    const char* description{};
    filterd_argument_type type{FILTERD_TEXT};
    /// FILTERD_REQUIRED, FILTERD_POSITIONAL, FILTERD_REPEATED.
    std::uint32_t flags{};
    /// With FILTERD_CHOICE: the words, with '|' between them; the first is taken when none is given.
    const char* choices{};
};

/// A command, filterctl NOUN NAME, and the function of the plugin that runs it.
template <class Class>
struct Command {
    static constexpr std::size_t most_arguments = 12;

    const char* name{};
    const char* description{};
    /// FILTERD_CHANGES, FILTERD_DEVICE, FILTERD_DEVICES, FILTERD_JOB, FILTERD_MOUNT, FILTERD_BESIDE.
    std::uint32_t flags{};
    void (Class::*run)(Call& call){};
    Argument arguments[most_arguments]{};
};

/// Derive from it, and override or declare anew what the plugin has. An exception fails the call with its
/// text; a Failure also with its code.
class Plugin {
public:
    Plugin() = default;
    Plugin(const Plugin&) = delete;
    Plugin& operator=(const Plugin&) = delete;
    virtual ~Plugin() = default;

    /// What filterctl calls it, when not by the filter's name.
    static constexpr const char* noun = nullptr;
    /// Where the filter has keys of its own: a JSON schema of them, an object.
    static constexpr const char* config_schema = nullptr;
    /// FILTERD_KEEPS_HISTORY.
    static constexpr std::uint32_t flags = 0;
    /// Versions of blkfilter's interface that the filter is known to work with; 0: any.
    static constexpr std::uint32_t kernel_least = 0;
    static constexpr std::uint32_t kernel_most = 0;
    /// What the plugin adds to filterctl: an array of Command<Class>.
    static constexpr std::array<Command<Plugin>, 0> commands{};

    /// The options that the filter is attached with. The same keys always give the same options.
    virtual std::string options(const Config& config) = 0;

    /// Options as people read them.
    virtual std::string describe(std::string_view options) { return std::string{options}; }

    /// Why the filter cannot be used here; nothing when it can.
    virtual std::optional<std::string> probe() { return std::nullopt; }

    /// Answers with what there is to say of a device that has the filter: one record.
    virtual void status(Call& call) { static_cast<void>(call); }

    /// Answers with what an event of the filter on a device means: one record.
    virtual void event(Call& call, std::uint64_t value, std::span<const std::byte> data) {
        static_cast<void>(call);
        static_cast<void>(value);
        static_cast<void>(data);
    }

    /// A device has the filter as a file declares it; see filterd_plugin::attached.
    virtual void attached(Call& call) { static_cast<void>(call); }
};

namespace detail {

/// Runs @p action. No exception leaves a plugin: it goes to @p tell(code, text).
template <class Action, class Tell>
int guarded(Action&& action, Tell&& tell) noexcept {
    try {
        action();
        return 0;
    } catch (const Failure& failure) {
        tell(failure.code(), failure.what());
    } catch (const std::exception& error) {
        tell(0, error.what());
    } catch (...) {
        tell(0, "an exception of no known kind");
    }
    return -1;
}

inline void tell_journal(int, const char* text) noexcept {
    host().log(FILTERD_ERROR, text);
}

inline void put(filterd_sink* sink, std::string_view text) {
    if (!host().write(sink, text.data(), text.size()))
        throw Failure{EMSGSIZE, "the answer is too long"};
}

/// What filterd calls, as C has it.
template <class Class>
struct Glue {
    /// Never destroyed: when filterd ends, a call may still be running.
    static Class& instance() {
        static auto& plugin = *new Class;
        return plugin;
    }

    static int load(const filterd_host* offered) {
        std::memcpy(&services, offered, std::min<std::size_t>(offered->size, sizeof(services)));
        return guarded([] { instance(); }, tell_journal);
    }

    static int options(const filterd_node* config, filterd_sink* sink) {
        return guarded([=] { put(sink, instance().options(Config{config})); }, tell_journal);
    }

    static int describe(const void* options, std::size_t size, filterd_sink* sink) {
        const std::string_view text{static_cast<const char*>(options), size};
        return guarded([=] { put(sink, instance().describe(text)); }, tell_journal);
    }

    static int probe(filterd_sink* sink) {
        // That it cannot be used ends like an exception: with a text, and -1.
        const auto ask = [] {
            if (const auto why = instance().probe())
                throw Failure{0, *why};
        };
        return guarded(ask, [=](int, const char* why) { host().write(sink, why, std::strlen(why)); });
    }

    static int status(filterd_call* call) {
        return answered(call, [](Call& it) { instance().status(it); });
    }

    static int event(filterd_call* call, std::uint64_t value, const void* data, std::size_t size) {
        const std::span bytes{static_cast<const std::byte*>(data), size};
        return answered(call, [=](Call& it) { instance().event(it, value, bytes); });
    }

    static int attached(filterd_call* call) {
        return answered(call, [](Call& it) { instance().attached(it); });
    }

    template <std::size_t index>
    static int run(filterd_call* call) {
        return answered(call, [](Call& it) { (instance().*Class::commands[index].run)(it); });
    }

    template <class Action>
    static int answered(filterd_call* call, Action&& action) {
        Call it{call};
        return guarded([&] { action(it); },
                       [=](int code, const char* text) { host().fail(call, code, text); });
    }
};

/// The commands of a plugin as C has them. Its parts point to each other: it stays where it is made.
template <class Class>
class Commands {
public:
    Commands() { add_all(std::make_index_sequence<count>{}); }
    Commands(const Commands&) = delete;
    Commands& operator=(const Commands&) = delete;
    ~Commands() = default;

    [[nodiscard]] const filterd_command* const* list() const { return count ? list_.data() : nullptr; }

private:
    static constexpr std::size_t count = std::size(Class::commands);
    static constexpr std::size_t most_arguments = Command<Class>::most_arguments;

    /// One command, with lists that end with NULL.
    struct Entry {
        filterd_command command{};
        std::array<filterd_argument, most_arguments> arguments{};
        std::array<const filterd_argument*, most_arguments + 1> list{};
    };

    template <std::size_t... index>
    void add_all(std::index_sequence<index...>) {
        (add<index>(), ...);
    }

    template <std::size_t index>
    void add() {
        constexpr auto& command = Class::commands[index];
        auto& entry = entries_[index];
        entry.command = {.size = sizeof(filterd_command),
                         .flags = command.flags,
                         .name = command.name,
                         .description = command.description,
                         .arguments = entry.list.data(),
                         .run = Glue<Class>::template run<index>};
        for (std::size_t i = 0; i < most_arguments && command.arguments[i].name; ++i) {
            const auto& argument = command.arguments[i];
            entry.arguments[i] = {.size = sizeof(filterd_argument),
                                  .type = argument.type,
                                  .flags = argument.flags,
                                  .name = argument.name,
                                  .description = argument.description,
                                  .choices = argument.choices};
            entry.list[i] = &entry.arguments[i];
        }
        list_[index] = &entry.command;
    }

    std::array<Entry, count> entries_{};
    std::array<const filterd_command*, count + 1> list_{};
};

/// @p function, or NULL where the class has left the function as Plugin has it, of the type @p Inherited.
template <class Own, class Inherited, class Function>
constexpr Function* if_overridden(Function* function) {
    return std::is_same_v<Own, Inherited> ? nullptr : function;
}

/// The plugin as C has it.
template <class Class>
const filterd_plugin* plugin_of(const char* name, const char* version, const char* description,
                                const char* filter, const char* module) {
    using It = Glue<Class>;
    static const Commands<Class> commands;
    static const filterd_plugin plugin{
        .size = sizeof(filterd_plugin),
        .interface = FILTERD_PLUGIN_INTERFACE,
        .name = name,
        .version = version,
        .description = description,
        .filter = filter,
        .module = module,
        .noun = Class::noun,
        .config_schema = Class::config_schema,
        .load = It::load,
        .options = It::options,
        .describe = if_overridden<decltype(&Class::describe), decltype(&Plugin::describe)>(It::describe),
        .flags = Class::flags,
        .kernel_least = Class::kernel_least,
        .kernel_most = Class::kernel_most,
        .commands = commands.list(),
        .probe = if_overridden<decltype(&Class::probe), decltype(&Plugin::probe)>(It::probe),
        .status = if_overridden<decltype(&Class::status), decltype(&Plugin::status)>(It::status),
        .event = if_overridden<decltype(&Class::event), decltype(&Plugin::event)>(It::event),
        .attached = if_overridden<decltype(&Class::attached), decltype(&Plugin::attached)>(It::attached),
    };
    return &plugin;
}

} // namespace detail

} // namespace filterd

/// The one function that a plugin exports. NAME: the file is filterd-NAME.so; FILTER: of the kernel; MODULE:
/// that has it.
#define FILTERD_PLUGIN(CLASS, NAME, VERSION, DESCRIPTION, FILTER, MODULE)                                    \
    const struct filterd_plugin* filterd_plugin_entry() {                                                    \
        return filterd::detail::plugin_of<CLASS>(NAME, VERSION, DESCRIPTION, FILTER, MODULE);                \
    }

// SPDX-License-Identifier: MIT
/// A plugin with commands that last: of several devices, with settings, and a program that is run; and that
/// hears what is attached.
#include <filterd/plugin.hpp>

#include <tuple>

class Lasting : public filterd::Plugin {
public:
    std::string options(const filterd::Config& config) override {
        std::ignore = config["word"].text();
        return "";
    }

    void attached(filterd::Call& call) override {
        heard_ += call.device() + "=" + call.setting("filter.word").value_or("nothing") + " ";
    }

    void heard(filterd::Call& call) { call.answer(filterd::Record{}.add("heard", heard_)); }

    void tell(filterd::Call& call) {
        std::string devices;
        for (const auto& device : call.devices())
            devices += device.name + "=" + device.declared + " ";
        call.answer(filterd::Record{}
                        .add("devices", devices)
                        .add("group", call.setting("group"))
                        .add("step", call.setting("storage.step"))
                        .add("nothing", call.setting("nothing")));
    }

    void work(filterd::Call& call) {
        call.progress(500, "half way");
        const int status = filterd::run(call.text("command", "exit 3"), {"WORD=seven"}, 60);
        call.answer(filterd::Record{}.add("status", status));
    }

    static constexpr filterd::Command<Lasting> commands[] = {
        {.name = "tell", .description = "Say what is given", .flags = FILTERD_DEVICES, .run = &Lasting::tell},
        {.name = "work",
         .description = "Run a command",
         .flags = FILTERD_JOB,
         .run = &Lasting::work,
         .arguments = {{.name = "command", .description = "What to run"}}},
        {.name = "work-beside",
         .description = "Run a command beside others",
         .flags = FILTERD_JOB | FILTERD_BESIDE,
         .run = &Lasting::work,
         .arguments = {{.name = "command", .description = "What to run"}}},
        {.name = "heard", .description = "Say what was attached", .run = &Lasting::heard}};

private:
    std::string heard_;
};

FILTERD_PLUGIN(Lasting, "lasting", "1.0", "A plugin for tests", "lasting", "test")

# SPDX-License-Identifier: MIT

# filterd_add_plugin(NAME SOURCE...): the target filterd-plugin-NAME, which makes filterd-NAME.so. It exports one name, and has nothing left
# to be found at run time.
function(filterd_add_plugin name)
    set(target filterd-plugin-${name})
    set(exports ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.map)
    add_library(${target} MODULE ${ARGN})
    target_link_libraries(${target} PRIVATE filterd::plugin)
    target_link_options(${target} PRIVATE -Wl,-z,defs -Wl,-z,now -Wl,--version-script=${exports})
    set_target_properties(${target} PROPERTIES
        PREFIX "" OUTPUT_NAME filterd-${name}
        C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
        LINK_DEPENDS ${exports})
    # <filterd/plugin.hpp> needs it; a plugin in C needs no C++ at all.
    get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
    if(CXX IN_LIST languages)
        target_compile_features(${target} PRIVATE cxx_std_20)
    endif()
endfunction()

# The addon alone, for `npm install` where there is no CMake: node-gyp comes with npm.
# CMakeLists.txt is the real build; scripts/install.mjs chooses.
{
  "targets": [
    {
      "target_name": "tsgi",
      "product_dir": "<(module_root_dir)/dist",
      "sources": [
        "<!@(node -p \"['native/wire', 'native/src'].flatMap((d) => fs.readdirSync(d, { recursive: true }).filter((f) => /[.]cc?$/.test(f)).map((f) => d + '/' + f)).join(' ')\")"
      ],
      "include_dirs": [
        "native",
        "native/wire",
        "<!(node -p \"require('node-addon-api').include_dir\")"
      ],
      "defines": [
        "NAPI_VERSION=8",
        "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS",
        "_GNU_SOURCE"
      ],
      "cflags": ["-fvisibility=hidden", "-fstack-protector-strong"],
      "cflags_c": ["-std=gnu11"],
      "cflags_cc": ["-std=c++17", "-fvisibility-inlines-hidden"]
    }
  ]
}

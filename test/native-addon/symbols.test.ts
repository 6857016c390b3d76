import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { addonPath } from './worker.ts';

/**
 * What the addon takes from the Node that loads it. All of libuv's are in every libuv since 1.19; all
 * of Node-API's are in version 8. A name that is missing in some Node would be noticed only when
 * that Node first calls it: so a new one is added here knowingly.
 */
const ofNode = `
  napi_add_async_cleanup_hook napi_add_finalizer napi_async_destroy napi_async_init napi_call_function
  napi_call_threadsafe_function napi_close_callback_scope napi_close_escapable_handle_scope
  napi_close_handle_scope napi_create_array napi_create_array_with_length napi_create_arraybuffer
  napi_create_buffer napi_create_buffer_copy napi_create_double napi_create_error napi_create_function napi_create_object
  napi_create_reference napi_create_string_latin1 napi_create_string_utf8
  napi_create_threadsafe_function napi_create_type_error napi_create_typedarray napi_create_uint32
  napi_define_class napi_define_properties napi_delete_reference napi_escape_handle napi_fatal_error
  napi_fatal_exception napi_get_and_clear_last_exception napi_get_array_length
  napi_get_arraybuffer_info napi_get_boolean napi_get_buffer_info napi_get_cb_info
  napi_get_instance_data napi_get_last_error_info napi_get_named_property napi_get_new_target
  napi_get_null napi_get_property napi_get_reference_value napi_get_typedarray_info
  napi_get_undefined napi_get_uv_event_loop napi_get_value_bool napi_get_value_double
  napi_get_value_int32 napi_get_value_string_latin1 napi_get_value_string_utf16
  napi_get_value_string_utf8 napi_get_value_uint32
  napi_has_named_property napi_has_property napi_is_buffer napi_is_exception_pending napi_is_typedarray napi_new_instance
  napi_open_callback_scope napi_open_escapable_handle_scope napi_open_handle_scope
  napi_reference_ref napi_reference_unref napi_release_threadsafe_function
  napi_remove_async_cleanup_hook napi_remove_wrap napi_set_element napi_set_instance_data
  napi_set_named_property napi_throw napi_typeof napi_unref_threadsafe_function napi_unwrap napi_wrap
  uv_check_init uv_check_start uv_close uv_err_name uv_handle_get_data uv_handle_set_data
  uv_handle_size uv_now uv_poll_init uv_poll_start uv_poll_stop uv_prepare_init uv_prepare_start uv_ref
  uv_timer_init uv_timer_start uv_unref`
  .trim()
  .split(/\s+/);

/** Undefined symbols without those that the C and C++ libraries give, which carry their version. */
function undefinedSymbols(): string[] {
  const lines = execFileSync('nm', ['-D', '--undefined-only', addonPath], { encoding: 'utf8' });
  return lines
    .split('\n')
    .filter((line) => line.includes(' U ')) // weak ones may be missing
    .map((line) => line.replace(/^ *U /, ''))
    .filter((name) => !/@(GLIBC|GLIBCXX|CXXABI|GCC)_/.test(name));
}

describe('symbols of the addon', function () {
  before(function () {
    // Built with sanitizers it needs theirs as well.
    if (process.env['TSGI_TEST_ADDON'] !== undefined) this.skip();
  });

  it('takes from Node exactly what is listed, and links no libuv', () => {
    expect(undefinedSymbols().sort()).to.deep.equal([...ofNode].sort());
  });

  it('exports nothing but what Node calls', () => {
    const lines = execFileSync('nm', ['-D', '--defined-only', addonPath], { encoding: 'utf8' });
    const own = lines
      .trim()
      .split('\n')
      .map((line) => line.split(' ').at(-1) ?? '')
      .filter((name) => !name.startsWith('_Z'));
    expect(own.sort()).to.deep.equal([
      'napi_register_module_v1',
      'node_api_module_get_api_version_v1',
    ]);
  });
});

// Types the Worker's WebAssembly imports for scripts, which import types of the Worker's modules and never run them.
declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}

// What the Worker imports as WebAssembly, for scripts that read the types of its modules and never run them.
declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}

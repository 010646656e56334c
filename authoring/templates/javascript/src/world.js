// What the contract wants of a step by name: it is missed by the build, and not by the first order that comes by.
export { describe, process } from "./step.js";
export * from "./step.js";

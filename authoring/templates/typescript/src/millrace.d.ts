// The contract of wit/step.wit, as JavaScript sees it.

declare module "millrace:step/log@0.1.0" {
  export type Level = "debug" | "info" | "warn" | "error";
  /** Writes one line, at most 4 KiB of it. */
  export function write(level: Level, message: string): void;
}

declare module "millrace:step/types@0.1.0" {
  /** Text that holds one JSON value. */
  export type Json = string;

  /** One attempt at one step of one instance. */
  export interface Job {
    workflow: string;
    instanceId: string;
    step: string;
    transition: string;
    fromState: string;
    toState: string;
    /** From 1. Attempts of one visit share the idempotency key. */
    attempt: number;
    visit: number;
    /** Pass it on to whatever must happen once. */
    idempotencyKey: string;
    /** When the host will stop this attempt, in milliseconds since 1970. */
    deadline: bigint;
    data: Json;
    config: Json;
  }

  /** The business says no. Nothing is retried. */
  export interface Rejection {
    code: string;
    reason: string;
    details: Json;
  }

  export type Outcome = { tag: "accepted"; val: Json } | { tag: "rejected"; val: Rejection };

  /** Thrown: transient may work the next time, permanent never will. */
  export type Failure = { tag: "transient"; val: string } | { tag: "permanent"; val: string };

  export interface Description {
    name: string;
    version: string;
    summary: string;
    /** JSON Schema of the configuration. */
    configSchema: Json;
  }
}

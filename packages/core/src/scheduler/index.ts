export * from "./fcfs-scheduler.js";
export * from "./priority-scheduler.js";
export * from "./static-batch-scheduler.js";

import type { FaultProxy } from './fault-proxy.js';

/** The server of one's own that the suite breaks: a `ServerProcess`, or what stands for several of them. */
export interface BreakableServer {
  /** The TCP port on 127.0.0.1, the same after a restart. */
  readonly port: number;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** Stops the execution of all its processes: connections stay open and get no answer. */
  freeze(): Promise<void>;
  /** Lets it go on after `freeze`. */
  thaw(): Promise<void>;
  /** Starts it again after `kill`. */
  restart(): Promise<void>;
  /** Ends it for good. */
  stop(): Promise<void>;
}

/** The server and the network before it. */
export interface Place {
  readonly server: BreakableServer;
  readonly proxy: FaultProxy;
  /** Longer than the backend waits for any answer, in milliseconds. */
  readonly tooLateMs: number;
}

/** One way in which a server goes away. */
export interface Outage {
  /** Completes "When the server ...". */
  readonly what: string;
  /** Whether it answers nevertheless, too late. Absent means no. */
  readonly answersLate?: true;
  /** The port through which a client meets this outage. */
  readonly port: (place: Place) => number;
  readonly begin: (place: Place) => Promise<void> | void;
  readonly end: (place: Place) => Promise<void> | void;
}

const throughProxy = ({ proxy }: Place): number => proxy.port;
const directly = ({ server }: Place): number => server.port;
const pass = ({ proxy }: Place): void => proxy.pass();

/** All of them, from a closed port to a slow network. */
export const OUTAGES: readonly Outage[] = [
  {
    what: 'is gone',
    port: throughProxy,
    begin: ({ proxy }) => proxy.takeDown(),
    end: ({ proxy }) => proxy.bringUp(),
  },
  {
    what: 'resets all connections',
    port: throughProxy,
    begin: ({ proxy }) => {
      proxy.refuse();
      proxy.cut('rst');
    },
    end: pass,
  },
  {
    what: 'ends all connections',
    port: throughProxy,
    begin: ({ proxy }) => {
      proxy.hangUp();
      proxy.cut('fin');
    },
    end: pass,
  },
  {
    what: 'is stalled',
    port: throughProxy,
    begin: ({ proxy }) => proxy.stall(),
    end: pass,
  },
  {
    what: 'is behind a network that loses everything',
    port: throughProxy,
    begin: ({ proxy }) => proxy.blackhole(),
    end: pass,
  },
  {
    what: 'is behind a network slower than any deadline',
    answersLate: true,
    port: throughProxy,
    begin: ({ proxy, tooLateMs }) => proxy.delay({ downMs: tooLateMs }),
    end: ({ proxy }) => proxy.delay({}),
  },
  {
    what: 'is killed and started again',
    port: directly,
    begin: ({ server }) => server.kill(),
    end: ({ server }) => server.restart(),
  },
  {
    what: 'is frozen and goes on',
    port: directly,
    begin: ({ server }) => server.freeze(),
    end: ({ server }) => server.thaw(),
  },
];

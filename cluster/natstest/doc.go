// Package natstest runs NATS servers with JetStream for tests, and breaks them
// on purpose. Start runs them in the process of the test, StartProcesses runs
// the real program; both give a *Cluster, so that a test runs on either.
//
//	c := natstest.Start(t, 3)
//	conn, err := nats.Connect(strings.Join(c.URLs(), ","))
//	...
//	heal := c.Isolate(c.StreamLeader(ctx, "BETS"))
//	...
//	heal()
//	c.WaitCurrent("BETS")
//
// # What is between the servers
//
// Each ordered pair of servers is connected through a TCP proxy, and each
// server has one more for its clients. URLs names the clients' proxies: they
// stay the same over a restart, and a client never learns another address.
//
//   - Isolate cuts one server off from the other servers; its clients stay.
//   - StallRoutes does the same in silence: connections stay, no byte passes.
//   - CutClients and CutAllClients close the clients' connections and refuse
//     new ones until healed. DropClients and DropAllClients only close them.
//   - StallClients and StallAllClients stop the bytes between clients and NATS.
//
// All clients share these proxies. NewAccess gives a client proxies of its own,
// so that it can be cut from NATS alone.
//
// All but the Drops return a function that ends them, and may be called twice.
// They add up: what is cut twice passes nothing until both are healed.
//
// # What happens to a server
//
//   - Stop is orderly: SIGTERM, or Shutdown. The server hands its leadership over.
//   - Kill is SIGKILL, or in process: first no byte leaves any more, then the
//     server is shut down and its index files are restored, so that it must
//     recover from its blocks as after a kill.
//   - Pause is SIGSTOP, or in process: no byte passes, but its clocks run on.
//   - Restart starts a server that is down; Wipe empties its folder before that.
//   - StoreDir, Blocks, FlipByte: to damage what a server has stored. Stop it
//     first: one that was killed replays its log, and repairs what is still
//     in it.
//
// # What a test waits for
//
//   - WaitReady: there is a meta leader that knows every running server.
//   - StreamLeader: the leader of a stream. MoveLeader makes a server the leader
//     when it has all of the stream; the others may be down.
//   - WaitCurrent: every replica of a stream has all of it, and runs.
//
// WaitReady, MoveLeader and WaitCurrent fail the test after a minute;
// StreamLeader returns -1 when its context ends. They bypass the clients'
// proxies, so a cut of the clients does not affect them.
//
// # Random tests
//
// Rand is the source of a random test. CHAOS_SEED in the environment repeats it.
//
// # Users
//
// A client without a name is the user central, as in deploy/nats/nats.conf: it
// must not delete or change a stream. OperatorURLs are those of a user that may.
//
// Servers are numbered from 0, and server i is named Name(i). A method that
// cannot do what it is asked for fails the test (FailNow): call it from the
// test's goroutine. All methods may be called while clients are at work. The
// servers end with the test.
package natstest

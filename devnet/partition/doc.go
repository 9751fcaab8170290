// Package partition lets a network of validators run, each in a network namespace of
// its own, while they are killed, cut in two, restarted, robbed of their data, of the
// right time and of their disk, and checks what they say of it: nothing that was
// committed is lost, no height has two blocks, and all have the same. Accounts and
// messengers go on meanwhile. docs/spec/cometbft.md says what has to hold.
//
// Most callers Run it. It needs Linux, root and the program ip, and works in
// namespaces that end with the process: Inside starts the process again in them.
package partition

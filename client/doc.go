// Package client is the messenger: an account, its contacts, and messages that
// reach them through the onion and wait for them in mailboxes. It implements
// docs/spec/messenger.md.
//
// Most callers make an Account (NewMnemonic, Restore, OpenKeystore), build a
// Client with New, call Run in a goroutine, and then use AddContact, Send or
// SendWithConfirmation, Inbox and Subscribe.
//
// What it promises: what Send accepted is on disk before it returns, and is
// sent again, over other paths and to other members, until the contact confirms
// it or its time is over; a message is shown to its recipient once, whatever is
// stored twice; nothing that leaves depends on state that is not on disk yet;
// nothing readable lies on disk. No log line carries a key, a mailbox, a
// message, a contact or a peer's address.
package client

// Package traffic asks whether anybody on a packet's way can tell what kind of
// traffic it is: a store, a poll, an answer, a probe, cover. Its tests run a
// network with TLS links on loopback, record what is on the wire between every two
// parties and what every relay can see of each packet, and compare kinds by it. The
// same comparison has to find leaks that are planted. docs/spec/judgement.md,
// section What relays can tell, has what it shows and what it does not.
package traffic

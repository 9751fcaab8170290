// Package observe asks what the databases of a swarm's relays tell whoever gets
// them: how much an account received and from how many, and which two mailboxes
// of different days are of one pair. Its tests run a network in which people
// write to each other over several rotations of mailboxes, read every row that
// the relays keep, and compare with the truth. A second observer sees besides when
// each item was stored and deleted, and each poll. Some of the people go without
// rotation, some without padding: of them the same questions have to find it, and so
// they have to find leaks that are planted. docs/threat-model.md, section An observer,
// has the figures.
package observe

package registry

import (
	"slices"

	"tunic/chain"
)

// kinship counts, of each swarm, the nodes that belong together: those of one
// operator, and those that name each other as family.
type kinship struct {
	operator []chain.Address
	family   [][]int // nodes of other operators that name it and that it names
	of       map[operatorIn]int
	in       map[nodeIn]int // of the nodes that have a family, how many of it are where
}

type operatorIn struct {
	operator chain.Address
	swarm    int
}

type nodeIn struct{ node, swarm int }

func newKinship(listed []candidate) kinship {
	k := kinship{operator: make([]chain.Address, len(listed)), family: make([][]int, len(listed)), of: map[operatorIn]int{}, in: map[nodeIn]int{}}
	at := map[chain.NodeID]int{}
	for i, c := range listed {
		k.operator[i] = c.node.Operator
		if len(c.desc.Family) > 0 {
			at[c.node.ID] = i
		}
	}
	for i, c := range listed {
		for _, id := range c.desc.Family {
			j, ok := at[id]
			if ok && j != i && !slices.Contains(k.family[i], j) && k.operator[i] != k.operator[j] && slices.Contains(listed[j].desc.Family, c.node.ID) {
				k.family[i] = append(k.family[i], j)
			}
		}
	}
	return k
}

func (k *kinship) enter(i, swarm int) { k.add(i, swarm, 1) }
func (k *kinship) leave(i, swarm int) { k.add(i, swarm, -1) }

func (k *kinship) add(i, swarm, by int) {
	k.of[operatorIn{k.operator[i], swarm}] += by
	for _, j := range k.family[i] {
		k.in[nodeIn{j, swarm}] += by
	}
}

// count is how many of i's kin are in a swarm; i itself, if it is in it, too.
func (k *kinship) count(i, swarm int) int {
	n := k.of[operatorIn{k.operator[i], swarm}]
	if len(k.family[i]) > 0 {
		n += k.in[nodeIn{i, swarm}]
	}
	return n
}

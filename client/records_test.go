package client

import (
	"encoding/json"
	"testing"

	"tunic/chain"
)

// What an earlier version wrote is read: one receipt of one member, and a
// deletion that names no mailbox.
func TestRecordsOfEarlierVersions(t *testing.T) {
	const token = `"0101010101010101010101010101010101010101010101010101010101010101"`
	s := newState()
	err := s.load([]row{
		{rowOut, "x", []byte(`{"Kind":1,"ID":"00112233445566778899aabbccddeeff","Contact":` + token + `,"Seed":` + token + `,"Text":"hello","Sent":5,"Expiry":9,"State":3,"Parts":2,` +
			`"Items":[{"Seed":` + token + `,"Token":` + token + `,"Content":"aGVsbG8=","Receipt":"c2lnbmVk","Done":false,"Member":` + token + `},` +
			`{"Seed":` + token + `,"Token":` + token + `,"Content":"aGVsbG8=","Receipt":null,"Done":true,"Member":"0000000000000000000000000000000000000000000000000000000000000000"}]}`)},
		{rowDelete, "x", []byte(`{"Token":` + token + `,"Member":` + token + `,"Until":7}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range s.out {
		first, second := o.Items[0], o.Items[1]
		if len(first.Signed) != 1 || string(first.Signed[0].Receipt) != "signed" || !first.by(chain.NodeID(first.Token)) || first.Receipt != nil || first.Bucket != nil {
			t.Errorf("%+v", first)
		}
		if len(second.Signed) != 0 || !second.Done {
			t.Errorf("%+v", second)
		}
		var again outRecord
		if err := json.Unmarshal(o.row().value, &again); err != nil || len(again.Items[0].Signed) != 1 || again.Items[0].Receipt != nil {
			t.Errorf("written again: %+v, %v", again, err)
		}
	}
	for _, d := range s.deletes {
		if d.Mailbox != (key32{}) || d.Until != 7 {
			t.Errorf("%+v", d)
		}
	}
	if len(s.out) != 1 || len(s.deletes) != 1 {
		t.Errorf("%d messages, %d deletions", len(s.out), len(s.deletes))
	}
}

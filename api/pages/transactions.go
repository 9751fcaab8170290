package pages

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strings"

	"tunic/api/client"
	"tunic/chain"
)

// kindOptions are the names of the kinds that are not one word of the API's.
var kindOptions = map[string]string{"signed": "by accounts", "publish": "statements of nodes", "dev": "by hand, on dev networks"}

// kinds are those that the list can be narrowed to.
var kinds = []string{"signed", "transfer", "register", "contribute", "request-unlock", "withdraw", "submit-proof", "challenge", "change-params", "commit-disclosure", "publish", "dev"}

// txList is a page of transactions, or why there is none.
type txList struct {
	*client.TransactionPage
	Later        bool
	First, Next  string
	Status, Kind string
	Account      string
	Kinds        []string
	BadAccount   string
}

// transactions lists what waits, or what was in blocks.
func (s *Site) transactions(r *http.Request) (view, error) {
	q := r.URL.Query()
	list := txList{Status: q.Get("status"), Kind: q.Get("kind"), Account: strings.TrimSpace(q.Get("account")), Kinds: kinds, Later: cursor(r) != nil}
	if list.Kind != "" && !slices.Contains(kinds, list.Kind) {
		list.Kinds = append([]string{list.Kind}, kinds...)
	}
	v := view{Template: "transactions", Title: "Transactions", Nav: "/transactions", Live: "transaction"}
	if list.Account != "" {
		a, err := chain.ParseAddress(list.Account)
		if err != nil {
			list.BadAccount = "This is not an address: 0x and 40 hex digits, with its checksum where it has capitals."
			v.Data = list
			return v, nil
		}
		list.Account, v.LiveOf = a.String(), a.String()
	}
	page, err := s.listTransactions(r.Context(), &client.ListTransactionsParams{Status: ptr(list.Status), Kind: ptr(list.Kind), Account: ptr(list.Account),
		Limit: &pageLimit, Cursor: cursor(r)})
	if err != nil {
		return view{}, err
	}
	list.TransactionPage, list.First, list.Next = page, link("/transactions", q, "", ""), next("/transactions", q, page.NextCursor)
	v.Data = list
	return v, nil
}

// txField is one field of a message, and what it is.
type txField struct{ Name, Words, Kind, Value, Note string }

// transaction shows one transaction and what became of it.
func (s *Site) transaction(r *http.Request) (view, error) {
	res, err := s.api.GetTransactionWithResponse(r.Context(), r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	t, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if err != nil {
		return view{}, err
	}
	data := struct {
		*client.Transaction
		Fields       []txField
		Refused      bool
		What, Advice string
		Header       *client.Header
		Bytes        int
		Raw64        string
	}{Transaction: t, Fields: fieldsOf(t), What: kindMeanings[deref(t.Kind)]}
	result := deref(t.Result)
	data.Refused = t.Status == client.Refused || result != "" && result != "ok"
	if data.Refused {
		data.Advice = refusalAdvice(result)
	}
	if t.Raw != nil {
		data.Bytes, data.Raw64 = len(*t.Raw), base64.StdEncoding.EncodeToString(*t.Raw)
	}
	if t.Height != nil && t.Status == client.Included {
		if data.Header, err = s.headerOf(r.Context(), fmt.Sprint(*t.Height)); err != nil && !missing(err) {
			return view{}, err
		}
	}
	v := view{Template: "transaction", Title: "Transaction " + short(t.Id), Nav: "/transactions", Data: data}
	if t.Status == client.Pending {
		v.Live, v.LiveOf = "transaction", t.Id
		if deref(t.Kind) == "publish" {
			v.Live, v.LiveOf = "head", "" // statements have no events of their own
		}
	}
	return v, nil
}

// fieldKinds say what a message's fields are, for links and units.
var fieldKinds = map[string]string{"to": "account", "node": "node", "amount": "amount", "fee": "amount", "feeBps": "bps", "validUntil": "height",
	"epoch": "epoch", "nonce": "plain", "number": "plain"}

// fieldOrder puts what a reader looks for first.
var fieldOrder = []string{"to", "node", "amount", "feeBps", "number", "epoch", "fee", "nonce", "validUntil"}

// fieldWords are the names of fields for people.
var fieldWords = map[string]string{"to": "To", "node": "Node", "amount": "Amount", "feeBps": "Operator's fee", "fee": "Fee", "nonce": "Nonce",
	"validUntil": "Valid until", "number": "Number of the change", "epoch": "In force from epoch", "params": "Parameters", "proof": "Proof",
	"vrfKey": "VRF key", "nodeSignature": "Node's signature", "vrfProof": "VRF proof"}

// fieldNotes say what is not to be seen in a field itself.
var fieldNotes = map[string]string{"fee": "burned", "validUntil": "after that block it is dropped"}

func fieldsOf(t *client.Transaction) []txField {
	if t.Message == nil {
		return nil
	}
	var out []txField
	for name, v := range *t.Message {
		value, ok := v.(string)
		if !ok {
			value = fmt.Sprint(v)
		}
		kind := fieldKinds[name]
		if kind == "node" {
			value = strings.TrimPrefix(value, "0x")
		}
		words := fieldWords[name]
		if words == "" {
			words = name
		}
		out = append(out, txField{Name: name, Words: words, Kind: kind, Value: value, Note: fieldNotes[name]})
	}
	rank := func(name string) int {
		if i := slices.Index(fieldOrder, name); i >= 0 {
			return i
		}
		return len(fieldOrder)
	}
	sort.Slice(out, func(i, j int) bool {
		if a, b := rank(out[i].Name), rank(out[j].Name); a != b {
			return a < b
		}
		return out[i].Name < out[j].Name
	})
	return out
}

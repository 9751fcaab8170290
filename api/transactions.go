package api

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger"
	"tunic/ledger/machine"
)

// SubmitTransaction puts an account transaction into the pool.
func (s *server) SubmitTransaction(ctx context.Context, req oas.SubmitTransactionRequestObject) (oas.SubmitTransactionResponseObject, error) {
	var (
		tx  []byte
		err error
	)
	if req.JSONBody != nil {
		tx, err = signedTx(bodyOf(ctx))
	} else {
		tx, err = readAll(req.Body)
	}
	if err != nil {
		return nil, err
	}
	id, err := s.ledger.Submit(ctx, tx)
	if err != nil {
		return nil, err
	}
	return oas.SubmitTransaction202JSONResponse{Id: id.String()}, nil
}

// signedTx is the canonical encoding of a signed EIP-712 message.
func signedTx(m signedMessage) ([]byte, error) {
	schema, err := schemaNamed(m.Kind)
	if err != nil {
		return nil, err
	}
	tx := chain.Tx{Kind: schema.Kind}
	if tx.Payload, err = schema.UnmarshalMessage(m.Message); err != nil {
		return nil, chain.Refuse(codeMessage, "%s", strings.TrimPrefix(err.Error(), chain.ErrMessage.Error()+": "))
	}
	sig, err := hex.DecodeString(strings.TrimPrefix(m.Signature, "0x"))
	if err != nil || len(sig) != chain.SignatureSize {
		return nil, chain.Refuse(machine.CodeBadSignature, "a signature is %d bytes of hex", chain.SignatureSize)
	}
	// Wallets write V as 27 or 28; one encoding is kept.
	if v := sig[64]; v == 27 || v == 28 {
		sig[64] -= 27
	}
	tx.Sig = [chain.SignatureSize]byte(sig)
	return tx.Encode(), nil
}

// readAll reads a body that the validation has bounded.
func readAll(body io.Reader) ([]byte, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	return b, nil
}

// PublishStatement puts a node's statement into the pool.
func (s *server) PublishStatement(ctx context.Context, req oas.PublishStatementRequestObject) (oas.PublishStatementResponseObject, error) {
	b, err := readAll(req.Body)
	if err != nil {
		return nil, err
	}
	id, err := s.ledger.Publish(ctx, b)
	if err != nil {
		return nil, err
	}
	return oas.PublishStatement202JSONResponse{Id: id.String()}, nil
}

// GetTransaction finds a transaction and says what became of it.
func (s *server) GetTransaction(_ context.Context, req oas.GetTransactionRequestObject) (oas.GetTransactionResponseObject, error) {
	id, err := chain.ParseHash(req.Id)
	if err != nil {
		return nil, field(codeInvalidRequest, "id", "is not a hash")
	}
	st, err := s.ledger.Tx(id)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, notFound(codeTxUnknown, "there is no transaction "+req.Id)
	}
	if err != nil {
		return nil, err
	}
	out := oas.GetTransaction200JSONResponse{Id: id.String(), Status: oas.TransactionStatus(st.State), Detail: nonEmpty(st.Detail)}
	if st.State != ledger.TxPending {
		height, result := int64(st.Height), resultOf(st.Code)
		out.Height, out.Result = &height, &result
	}
	if st.State == ledger.TxIncluded {
		index := int(st.Index)
		out.Index = &index
	}
	shown := (*oas.Transaction)(&out)
	if st.Bytes != nil {
		if err := s.describe(shown, st.Bytes); err != nil {
			return nil, err
		}
	}
	return out, s.receipt(shown, st)
}

// describe fills in what a transaction's bytes say.
func (s *server) describe(out *oas.Transaction, raw []byte) error {
	kind := kindOf(raw)
	out.Raw, out.Kind = &raw, &kind
	n := noteOf(raw)
	item := n.item()
	out.To, out.Node, out.About, out.Amount = item.To, item.Node, item.About, item.Amount
	tx, err := chain.DecodeTx(raw)
	if err != nil {
		return fmt.Errorf("decode stored transaction: %w", err)
	}
	if tx.Kind == chain.KindPublish {
		if st, err := statement.Decode(tx.Payload); err == nil {
			out.Statement = statementOf(st)
		}
		return nil
	}
	schema, ok := machine.SchemaOf(tx.Kind)
	if !ok {
		return nil
	}
	if head, err := headOfMessage(tx); err == nil {
		fee := amount(head.Fee)
		out.Fee = &fee
	}
	msg, err := schema.MarshalMessage(tx.Payload)
	if err != nil {
		return fmt.Errorf("show stored transaction: %w", err)
	}
	fields, err := object(msg)
	if err != nil {
		return err
	}
	out.Message = &fields
	if sender, err := s.ledger.Domain().Sender(schema, tx); err == nil {
		text := sender.String()
		out.Sender = &text
	}
	return nil
}

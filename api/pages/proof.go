package pages

import (
	"errors"
	"io"
	"net/http"

	"tunic/api/client"
	"tunic/internal/httpx"
)

// proofMost bounds an uploaded file; a proof is half as long at most.
const proofMost = 32 << 10

// proofView is the form, and what became of a file.
type proofView struct {
	// Judged is nil before a file was sent.
	Judged *judgementView
	// Name is the file's, as the browser says it.
	Name string
	// Wrong says what is wrong with what was sent, empty where nothing is.
	Wrong string
}

// Punished says that the file's offence has a page.
func (p proofView) Punished() bool {
	return p.Judged != nil && p.Judged.Verdict.Verdict == client.AlreadyPunished
}

// proof is a form for a proof file.
func (s *Site) proof(*http.Request) (view, error) {
	return proofPage(proofView{}), nil
}

func proofPage(d proofView) view {
	title := "Judge a proof"
	if d.Judged != nil {
		title = "Proof: " + string(d.Judged.Verdict.Verdict)
	}
	return view{Template: "proof", Title: title, Nav: "/proof", Data: d}
}

// judge judges an uploaded file and shows each step.
func (s *Site) judge(r *http.Request) (view, error) {
	r.Body = http.MaxBytesReader(nil, r.Body, 2*proofMost)
	file, header, err := r.FormFile("proof")
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return view{}, httpx.Problem{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Detail: "a proof has at most 16,384 bytes"}
	case errors.Is(err, http.ErrMissingFile):
		return wrong("Choose a file first."), nil
	case err != nil:
		return view{}, httpx.Problem{Status: http.StatusBadRequest, Code: "malformed_body", Detail: "the form could not be read; send multipart/form-data with a file named proof"}
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, proofMost+1))
	switch {
	case err != nil:
		return view{}, httpx.Problem{Status: http.StatusBadRequest, Code: "malformed_body", Detail: "the file could not be read"}
	case len(b) == 0:
		return wrong("The file is empty. Choose another."), nil
	case len(b) > proofMost:
		return view{}, httpx.Problem{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Detail: "a proof has at most 16,384 bytes"}
	}
	d := proofView{Name: header.Filename}
	if d.Judged, err = s.judgement(r.Context(), b); err != nil {
		return view{}, err
	}
	return proofPage(d), nil
}

// wrong is the form again, with what is wrong.
func wrong(why string) view {
	v := proofPage(proofView{Wrong: why})
	v.Status = http.StatusUnprocessableEntity
	v.Problem = &httpx.Problem{Status: http.StatusBadRequest, Code: "invalid_request", Detail: why}
	return v
}

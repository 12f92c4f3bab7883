package web

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/gradus-ai/gradus/internal/api"
)

// example is an answer to grade with one click, for those who have none yet.
type example struct {
	QuestionID string `json:"question_id"`
	Answer     string `json:"answer"`
}

//go:embed examples.json
var exampleFile []byte

var examples = func() (all []example) {
	if err := json.Unmarshal(exampleFile, &all); err != nil {
		panic(fmt.Sprintf("examples.json: %v", err)) // embedded, and read by a test
	}
	return all
}()

func exampleOf(ref string) string {
	for _, e := range examples {
		if e.QuestionID == ref {
			return e.Answer
		}
	}
	return ""
}

// homeSheet is the first page.
type homeSheet struct {
	Sets    []setSheet
	Example *example
}

type setSheet struct {
	ID, Title string
	Questions []questionLine
}

type questionLine struct {
	Ref, Href, Kind, Text string
	N                     int
}

func lines(set api.SetSummary) setSheet {
	s := setSheet{ID: set.ID, Title: set.Title}
	for i, q := range set.Questions {
		ref := set.ID + "/" + q.ID
		s.Questions = append(s.Questions, questionLine{Ref: ref, Href: "/sets/" + ref, Kind: q.Kind, Text: q.Question, N: i + 1})
	}
	return s
}

// home answers GET /.
func (p *Page) home(w http.ResponseWriter, r *http.Request) error {
	client, err := p.client(r)
	if err != nil {
		return err
	}
	sets, err := client.Sets(r.Context())
	if err != nil {
		return err
	}
	var s homeSheet
	known := map[string]bool{}
	for _, set := range sets {
		shown := lines(set)
		s.Sets = append(s.Sets, shown)
		for _, q := range shown.Questions {
			known[q.Ref] = true
		}
	}
	for _, e := range examples {
		if known[e.QuestionID] {
			s.Example = &e
			break
		}
	}
	return p.render(w, r, http.StatusOK, "home", sheet{Title: "Practise interview answers", Nav: "practise", Module: "questions.js", Content: s})
}

// set answers GET /sets/{set}.
func (p *Page) set(w http.ResponseWriter, r *http.Request) error {
	client, err := p.client(r)
	if err != nil {
		return err
	}
	set, err := client.Set(r.Context(), r.PathValue("set"))
	if err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, "set", sheet{Title: set.Title, Nav: "practise", Module: "questions.js", Content: lines(*set)})
}

// questionSheet is a question, and after Grade what came of it.
type questionSheet struct {
	Ref, Kind, Text, Intent, Guidance string
	SetID, SetTitle                   string
	N, Of                             int
	Before, After                     string // the neighbours, as paths
	Answer                            string
	Example                           string
	MaxAnswer                         int
	Grade                             *gradeSheet
	Problem                           *problemSheet
	CanFallBack                       bool   // another judge could do it
	Previous                          string // id of the grade to compare with
}

// question answers GET /sets/{set}/{name}.
func (p *Page) question(w http.ResponseWriter, r *http.Request) error {
	client, err := p.client(r)
	if err != nil {
		return err
	}
	s, _, err := p.ask(r, client, false)
	if err != nil {
		return err
	}
	return p.showQuestion(w, r, http.StatusOK, s)
}

// answer answers POST /sets/{set}/{name}: the same page with the grade.
func (p *Page) answer(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(w, r); err != nil {
		return err
	}
	client, err := p.client(r)
	if err != nil {
		return err
	}
	s, q, err := p.ask(r, client, true)
	if err != nil {
		return err
	}
	s.Answer = strings.ReplaceAll(r.PostForm.Get("answer"), "\r\n", "\n") // as it was before the browser encoded it
	s.Previous = r.PostForm.Get("previous")
	req := api.GradeRequest{QuestionID: s.Ref, Answer: s.Answer}
	if r.PostForm.Get("judge") == api.JudgeLexical {
		req.Judge = api.JudgeLexical
	}
	if !utf8.ValidString(s.Answer) {
		s.Answer = strings.ToValidUTF8(s.Answer, "\uFFFD")
		req.Answer = s.Answer
	}
	if over := utf8.RuneCountInString(s.Answer) - api.MaxAnswer; over > 0 {
		s.Problem = &problemSheet{Title: "The answer is too long.", Detail: fmt.Sprintf("It has %s too many: at most %d are graded.", plural(over, "character", "characters"), api.MaxAnswer)}
		return p.showQuestion(w, r, http.StatusUnprocessableEntity, s)
	}
	grade, err := client.Grade(r.Context(), req)
	if err != nil {
		problem := asProblem(err)
		if errors.Is(problem, api.KeyNeeded) || problem.Status == http.StatusInternalServerError {
			return err
		}
		show := describe(problem)
		s.Problem = &show
		s.CanFallBack = errors.Is(problem, api.ModelUnavailable) || errors.Is(problem, api.ModelMisconfigured) ||
			errors.Is(problem, api.ModelRejected) || errors.Is(problem, api.ModelTimeout) || errors.Is(problem, api.AnswerTooLong)
		return p.showQuestion(w, r, problem.Status, s)
	}
	s.Grade = show(grade, s.Answer, true, p.kept(r, client, s.Previous))
	s.Grade.Sample = q.SampleAnswer
	if s.Grade.Kept != "" {
		s.Previous = s.Grade.Kept
	}
	return p.showQuestion(w, r, http.StatusOK, s)
}

// kept is an earlier grade; nil where it cannot be had, which is no fault.
func (p *Page) kept(r *http.Request, client *api.Client, id string) *api.Grade {
	if id == "" {
		return nil
	}
	grade, err := client.GetGrade(r.Context(), id, "")
	if err != nil {
		return nil
	}
	return grade
}

// ask finds the question that a request is about.
func (p *Page) ask(r *http.Request, client *api.Client, sample bool) (questionSheet, *api.QuestionView, error) {
	set, err := client.Set(r.Context(), r.PathValue("set"))
	if err != nil {
		return questionSheet{}, nil, err
	}
	ref := set.ID + "/" + r.PathValue("name")
	q, err := client.Question(r.Context(), ref, sample)
	if err != nil {
		return questionSheet{}, nil, err
	}
	s := questionSheet{
		Ref: q.QuestionID, Kind: q.Kind, Text: q.Question, Intent: q.Intent, Guidance: q.Guidance,
		SetID: set.ID, SetTitle: set.Title, Of: len(set.Questions), Example: exampleOf(q.QuestionID), MaxAnswer: api.MaxAnswer,
	}
	for i, other := range set.Questions {
		if other.ID != q.ID {
			continue
		}
		s.N = i + 1
		if i > 0 {
			s.Before = "/sets/" + set.ID + "/" + set.Questions[i-1].ID
		}
		if i+1 < len(set.Questions) {
			s.After = "/sets/" + set.ID + "/" + set.Questions[i+1].ID
		}
	}
	return s, q, nil
}

func (p *Page) showQuestion(w http.ResponseWriter, r *http.Request, status int, s questionSheet) error {
	title := s.Text
	if s.Grade != nil && s.Grade.Score != "" {
		title = s.Grade.Score + " of 100: " + title
	}
	return p.render(w, r, status, "question", sheet{Title: title, Nav: "practise", Module: "practise.js", Content: s})
}

// maxView is the largest grade that view shows, in bytes: a grade, the one
// before it and the answer.
const maxView = 2 << 20

// Most of what a grade to show may hold. Cutting up an answer takes time that
// grows with the square of its passages, and no grade of the service has as many.
const (
	maxShown    = 100 // criteria, strengths, fixes, flags
	maxPassages = 500 // pieces of evidence and flagged spans, of all criteria
)

// tooMuch reports whether a grade holds more than any grade of the service.
func tooMuch(g *api.Grade) bool {
	passages := len(g.Integrity.Spans)
	for _, c := range g.Criteria {
		passages += len(c.Evidence)
	}
	most := max(len(g.Criteria), len(g.Feedback.Strengths), len(g.Feedback.Improvements), len(g.Integrity.Flags), len(g.Review.Reasons))
	return passages > maxPassages || most > maxShown
}

// viewRequest is a grade that somebody has and wants to see.
type viewRequest struct {
	Grade    api.Grade  `json:"grade"`
	Previous *api.Grade `json:"previous"`
	// Answer is nil where it is not known.
	Answer *string `json:"answer"`
	Sample bool    `json:"sample"`
	// Reader is true for somebody who reads another's answer.
	Reader bool `json:"reader"`
}

// view answers POST /view: it shows a grade that the caller brings along, so
// that grades look the same wherever they come from. Its body is nothing but
// the grade's markup.
func (p *Page) view(w http.ResponseWriter, r *http.Request) error {
	var v viewRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxView)).Decode(&v); err != nil {
		return problemOf(api.MalformedBody, "The grade to show cannot be read.")
	}
	if tooMuch(&v.Grade) || (v.Previous != nil && tooMuch(v.Previous)) {
		return problemOf(api.InvalidRequest, "The grade to show holds more than a grade does.")
	}
	answer := ""
	if v.Answer != nil {
		answer = *v.Answer
	}
	s := show(&v.Grade, answer, v.Answer != nil, v.Previous)
	s.Reader = v.Reader
	if v.Sample {
		client, err := p.client(r)
		if err != nil {
			return err
		}
		if q, err := client.Question(r.Context(), v.Grade.QuestionID, true); err == nil {
			s.Sample = q.SampleAnswer
		}
	}
	return p.write(w, http.StatusOK, p.pages["question"], "grade.html", s)
}

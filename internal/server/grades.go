package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/once"
	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/strict"
)

// gradeNeeds is what GradeRequest cannot say for itself: an answer may be empty
// but not missing.
var gradeNeeds = []strict.Need[api.GradeRequest]{
	{Name: "answer", Empty: func(r *api.GradeRequest) bool { return r.Answer == "" }},
}

// grade answers POST /v1/grades.
func (s *Server) grade(c *gin.Context) error {
	var req api.GradeRequest
	if err := decodeBody(c, &req, gradeNeeds...); err != nil {
		return err
	}
	question, err := s.question(&req)
	if err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	claim, before, err := s.claim(c, &req)
	if err != nil {
		return err
	}
	if before != nil {
		s.replay(c, before)
		return nil
	}
	ctx := c.Request.Context()
	if claim != nil {
		var done context.CancelFunc
		ctx, done = s.persist(ctx)
		defer done()
		// Whatever fails is not kept, so that another try can succeed.
		defer claim.Release(ctx)
	}
	x := exchangeOf(c)
	asked := grading.Request{
		Tenant:   x.tenant,
		Question: question,
		Answer:   req.Answer,
		Judge:    req.Judge,
		Fallback: req.Fallback == api.JudgeLexical,
		Fresh:    wantsFresh(c.Request.Header),
	}
	var live *gradeStream
	if wantsEvents(c.Request.Header) {
		live = s.gradeStream(c, grading.Detail(req.Detail))
		defer live.stop() // before a failure is written
		asked.Decided = live.decided
	}
	result, err := s.cfg.Grader.Grade(ctx, asked)
	if err != nil {
		return err
	}
	s.spent(x.key, result.Usage)
	body, err := render(result.Record, result.Usage, grading.Detail(req.Detail))
	if err != nil {
		return err
	}
	x.cache = string(result.Source)
	if claim != nil {
		s.remember(ctx, claim, x.tenant, result.Record, once.Reply{Cache: x.cache, Body: body})
	}
	if live != nil {
		live.stop()
		x.events = nil // it has its last event
		_ = live.event(api.EventGrade, body)
		return nil
	}
	c.Writer.Header()["X-Cache"] = []string{x.cache}
	c.Writer.Header()["Cache-Control"] = noStore
	write(c, http.StatusOK, "application/json", body)
	return nil
}

// question validates what decoding could not and finds or makes the question.
func (s *Server) question(req *api.GradeRequest) (*rubric.Question, error) {
	var faults []api.Fault
	fault := func(pointer, detail string) {
		faults = append(faults, api.Fault{Pointer: pointer, Detail: detail})
	}
	if len(req.Answer) > api.MaxAnswer { // bytes: never fewer than code points
		if n := utf8.RuneCountInString(req.Answer); n > api.MaxAnswer {
			fault("/answer", fmt.Sprintf("the answer has %d characters; at most %d are graded", n, api.MaxAnswer))
		}
	}
	switch req.Judge {
	case "", api.JudgeAuto, api.JudgeModel, api.JudgeLexical:
	default:
		fault("/judge", "expected \"auto\", \"model\" or \"lexical\"")
	}
	if req.Fallback != "" && req.Fallback != api.JudgeLexical {
		fault("/fallback", "expected \"lexical\", or leave it out")
	}
	if !grading.Detail(req.Detail).Valid() {
		fault("/detail", detailFault)
	}
	var question *rubric.Question
	var err error
	switch {
	case req.Question != nil && req.QuestionID != "":
		fault("/question", "question and question_id exclude each other")
	case req.Question != nil:
		question, err = inline(req.Question)
		var failed *failure
		if errors.As(err, &failed) {
			faults, err = append(faults, failed.faults...), nil
		}
	case req.QuestionID != "":
		question, err = s.find(req.QuestionID, "/question_id")
	default:
		fault("/question_id", "give question_id or question")
	}
	if faults != nil {
		return nil, invalid(faults...)
	}
	return question, err
}

const detailFault = "expected \"nudge\", \"hint\" or \"full\""

// find finds a question and says, where there is none, what may have been meant.
func (s *Server) find(ref, pointer string) (*rubric.Question, error) {
	question, err := s.cfg.Library.Find(ref)
	if err == nil {
		return question, nil
	}
	if !errors.Is(err, rubric.ErrNotFound) {
		return nil, fmt.Errorf("find question: %w", err)
	}
	fault := api.Fault{Pointer: pointer, Detail: "there is no such question" + near(err)}
	return nil, fail(api.UnknownQuestion, stop("No question goes by this name"+near(err)), fault)
}

// near lists what a reference may have meant. Those are names of ours; the
// reference itself is not repeated.
func near(err error) string {
	var missing *rubric.NotFoundError
	if !errors.As(err, &missing) || len(missing.Near) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(missing.Near, " or ") + "?"
}

// inline makes a question of one that came with the request; faults point into
// the request.
func inline(q *api.Question) (*rubric.Question, error) {
	in := rubric.Question{
		ID:           q.ID,
		Kind:         rubric.Kind(q.Kind),
		Text:         q.Question,
		Intent:       q.Intent,
		Guidance:     q.Guidance,
		SampleAnswer: q.SampleAnswer,
		Criteria:     make([]rubric.Criterion, len(q.Criteria)),
	}
	var naught []api.Fault // weights; a question has 0 for what is not given
	for i, c := range q.Criteria {
		weight := 0.0
		if c.Weight != nil {
			weight = *c.Weight
			if weight == 0 {
				naught = append(naught, api.Fault{
					Pointer: fmt.Sprintf("/question/criteria/%d/weight", i),
					Detail:  "a criterion of weight 0 counts for nothing: leave it out, or only its weight to have the mean of the others",
				})
			}
		}
		in.Criteria[i] = rubric.Criterion{
			ID:        c.ID,
			Statement: c.Statement,
			Weight:    weight,
			Partial:   c.Partial,
			Hint:      c.Hint,
			Phrases:   c.Phrases,
			Kind:      rubric.CriterionKind(c.Kind),
			Signal:    rubric.Signal(c.Signal),
		}
	}
	question, err := rubric.Inline(in)
	if err == nil && naught == nil {
		return question, nil
	}
	faults := naught
	if err != nil {
		for _, f := range classify(causes, err).faults {
			f.Pointer = "/question" + f.Pointer
			faults = append(faults, f)
		}
	}
	return nil, invalid(faults...)
}

// wantsFresh reports whether the caller asked for a new grade.
func wantsFresh(h http.Header) bool {
	for _, line := range h["Cache-Control"] {
		for directive := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(directive), "no-cache") {
				return true
			}
		}
	}
	return false
}

// kept answers GET /v1/grades/{id}.
func (s *Server) kept(c *gin.Context) error {
	text, given := c.GetQuery("detail")
	detail := grading.Detail(text)
	if !detail.Valid() || given && text == "" {
		return invalid(api.Fault{Detail: "query parameter detail: " + detailFault})
	}
	x := exchangeOf(c)
	id := c.Param("id")
	if !gradeID(id) {
		return grading.ErrNotFound
	}
	record, err := s.cfg.Grader.Find(c.Request.Context(), grading.Key{Tenant: x.tenant, ID: id})
	if err != nil {
		return err
	}
	x.cache = string(grading.Hit)
	c.Writer.Header()["X-Cache"] = []string{x.cache}
	body, err := render(record, judge.Usage{}, detail)
	if err != nil {
		return err
	}
	// A fresh grade replaces this one under the same id. Whoever keeps grades
	// can ask whether that has happened; caches on the way are to keep none.
	writeTagged(c, noStore, body)
	return nil
}

// forget answers DELETE /v1/grades/{id}. Forgetting twice is not an error.
func (s *Server) forget(c *gin.Context) error {
	if id := c.Param("id"); gradeID(id) {
		if err := s.cfg.Grader.Forget(c.Request.Context(), grading.Key{Tenant: exchangeOf(c).tenant, ID: id}); err != nil {
			return err
		}
	}
	c.Status(http.StatusNoContent)
	return nil
}

// longestGradeID is generous: an id has 35 bytes today.
const longestGradeID = 64

// gradeID reports whether id could be one of a grade, so that nothing else is
// ever looked up.
func gradeID(id string) bool {
	rest, ok := strings.CutPrefix(id, "gr_")
	if !ok || len(id) > longestGradeID {
		return false
	}
	return plainID(rest)
}

// plainID reports whether what follows the kind in an id could be one of ours.
func plainID(rest string) bool {
	return rest != "" && len(rest) <= longestGradeID && strings.IndexFunc(rest, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) < 0
}

// render is a grade as it is answered. A grade in full that cost nothing now is
// the very bytes that are kept.
func render(record *grading.Record, spent judge.Usage, detail grading.Detail) ([]byte, error) {
	if (detail == "" || detail == grading.Full) && spent == (judge.Usage{}) {
		return record.JSON(), nil
	}
	grade, err := record.Grade()
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(grade.At(detail).With(spent))
	if err != nil {
		return nil, fmt.Errorf("encode grade: %w", err)
	}
	return body, nil
}

var noStore = []string{"no-store"}

// write sends a whole reply. net/http would send more than 2 KB in chunks if
// the length were not given.
func write(c *gin.Context, status int, media string, body []byte) {
	h := c.Writer.Header()
	h["Content-Type"] = []string{media}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	c.Writer.WriteHeader(status)
	// An error means that the client has gone, and nobody is left to tell.
	_, _ = c.Writer.Write(body)
}

package server

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// listSets answers GET /v1/sets.
func (s *Server) listSets(c *gin.Context) error {
	sets := s.cfg.Library.Sets()
	out := make([]api.SetSummary, len(sets))
	for i, set := range sets {
		out[i] = summary(set)
	}
	return writeKeepable(c, out)
}

// oneSet answers GET /v1/sets/{set}.
func (s *Server) oneSet(c *gin.Context) error {
	set, err := s.cfg.Library.Set(c.Param("set"))
	if errors.Is(err, rubric.ErrNotFound) {
		return fail(api.UnknownSet, stop("No set goes by this name"+near(err)))
	}
	if err != nil {
		return fmt.Errorf("find set: %w", err)
	}
	return writeKeepable(c, summary(set))
}

// oneQuestion answers GET /v1/sets/{set}/questions/{question}.
func (s *Server) oneQuestion(c *gin.Context) error {
	var sample bool
	switch include, given := c.GetQuery("include"); {
	case !given:
	case include == "sample_answer":
		sample = true
	default:
		return invalid(api.Fault{Detail: "query parameter include: expected sample_answer, or leave it out"})
	}
	question, err := s.find(c.Param("set")+"/"+c.Param("question"), "")
	if err != nil {
		var failed *failure
		if errors.As(err, &failed) {
			failed.faults = nil // there is no body to point into
		}
		return err
	}
	out := view(question)
	if sample {
		out.SampleAnswer = question.SampleAnswer
	}
	return writeKeepable(c, out)
}

func summary(set *rubric.Set) api.SetSummary {
	out := api.SetSummary{
		ID:        set.ID,
		Title:     set.Title,
		Digest:    set.Digest(),
		Questions: make([]api.QuestionSummary, len(set.Questions)),
	}
	for i, q := range set.Questions {
		out.Questions[i] = api.QuestionSummary{ID: q.ID, Kind: string(q.Kind), Question: q.Text}
	}
	return out
}

// view is a question without its sample answer.
func view(q *rubric.Question) api.QuestionView {
	out := api.QuestionView{
		ID:         q.ID,
		QuestionID: q.Ref,
		Digest:     q.Digest(),
		Kind:       string(q.Kind),
		Question:   q.Text,
		Intent:     q.Intent,
		Guidance:   q.Guidance,
		Criteria:   make([]api.Criterion, len(q.Criteria)),
	}
	for i, c := range q.Criteria {
		out.Criteria[i] = api.Criterion{
			ID:        c.ID,
			Statement: c.Statement,
			Weight:    &c.Weight,
			Partial:   c.Partial,
			Hint:      c.Hint,
			Phrases:   c.Phrases,
			Kind:      string(c.Kind),
			Signal:    string(c.Signal),
		}
	}
	return out
}

// writeKeepable answers with JSON that a client may keep as long as it asks
// whether it still holds.
func writeKeepable(c *gin.Context, out any) error {
	body, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("encode reply: %w", err)
	}
	writeTagged(c, mayKeep, body)
	return nil
}

var mayKeep = []string{"private, no-cache"}

// writeTagged answers with JSON tagged by its bytes, or with 304 where the
// client has them already.
func writeTagged(c *gin.Context, caching []string, body []byte) {
	sum := sha256.Sum256(body)
	etag := `"` + hex.EncodeToString(sum[:16]) + `"` // half is beyond any accident
	h := c.Writer.Header()
	h.Set("ETag", etag)
	h["Cache-Control"] = caching
	if tagMatches(c.GetHeader("If-None-Match"), etag) {
		c.Status(http.StatusNotModified)
		return
	}
	write(c, http.StatusOK, "application/json", body)
}

// tagMatches is the weak comparison of RFC 9110, section 13.1.2.
func tagMatches(sent, etag string) bool {
	for candidate := range strings.SplitSeq(sent, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		if candidate == etag || candidate == "*" {
			return true
		}
	}
	return false
}

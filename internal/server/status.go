package server

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/gradus-ai/gradus/internal/api"
)

// healthz says that the process answers.
func (s *Server) healthz(c *gin.Context) error {
	return writeJSON(c, http.StatusOK, api.Liveness{Status: "ok", Version: s.cfg.Version})
}

// readyz says whether to send requests here. A red light is this route's
// answer and not a failure of it, so it is no problem document.
func (s *Server) readyz(c *gin.Context) error {
	found := s.cfg.Health(c.Request.Context())
	if found.Checks == nil {
		found.Checks = []api.Check{}
	}
	if s.draining.Load() {
		found.Status = api.Draining
	}
	status := http.StatusServiceUnavailable
	if found.Status == api.Ready || found.Status == api.Degraded {
		status = http.StatusOK
	}
	return writeJSON(c, status, found)
}

// listProblems answers GET /problems.
func (s *Server) listProblems(c *gin.Context) error {
	return writeJSON(c, http.StatusOK, api.ProblemTypes())
}

// oneProblem answers GET /problems/{slug}: what the type of a problem means.
func (s *Server) oneProblem(c *gin.Context) error {
	for _, t := range api.ProblemTypes() {
		if t.Slug() == c.Param("slug") {
			return writeJSON(c, http.StatusOK, t)
		}
	}
	return fail(api.NotFound, "There is no such type of problem.")
}

func writeJSON(c *gin.Context, status int, out any) error {
	body, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("encode reply: %w", err)
	}
	c.Writer.Header()["Cache-Control"] = noStore
	write(c, status, "application/json", body)
	return nil
}

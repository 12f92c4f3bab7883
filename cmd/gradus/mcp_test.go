package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
)

// TestAnAgentStartsGradusAsTheREADMESays runs the program of the README's
// snippet as a child of a real client.
func TestAnAgentStartsGradusAsTheREADMESays(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	var snippet struct {
		MCPServers map[string]struct {
			Command string   `json:"command"`
			Args    []string `json:"args"`
		} `json:"mcpServers"`
	}
	require.NoError(t, json.Unmarshal(regexp.MustCompile(`\{"mcpServers".*`).Find(readme), &snippet))
	configured := snippet.MCPServers["gradus"]
	require.Equal(t, "gradus", configured.Command)
	cmd := exec.Command(self(t), configured.Args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	client := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &sdk.CommandTransport{Command: cmd}, nil)
	require.NoError(t, err)
	result, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "grade_answer", Arguments: map[string]any{
		"question_id": "lead-platform-engineer/first-90-days", "answer": "I would sit with each team for two weeks.",
	}})
	require.NoError(t, err)
	require.False(t, result.IsError)
	require.Contains(t, result.Content[0].(*sdk.TextContent).Text, `"status"`)
	require.NoError(t, session.Close())
}

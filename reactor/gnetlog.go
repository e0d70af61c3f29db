package reactor

import (
	"github.com/panjf2000/gnet/v2/pkg/logging"
	"github.com/rs/zerolog"
)

// gnetLog writes gnet's messages to the program's log, its informational ones at
// level DEBUG.
type gnetLog struct{ log zerolog.Logger }

var _ logging.Logger = gnetLog{}

func (g gnetLog) Debugf(format string, args ...any) {
	g.log.Debug().Str("action", "gnet").Str("result", "success").Msgf(format, args...)
}

func (g gnetLog) Infof(format string, args ...any) { g.Debugf(format, args...) }

func (g gnetLog) Warnf(format string, args ...any) {
	g.log.Warn().Str("action", "gnet").Str("result", "in_progress").Msgf(format, args...)
}

func (g gnetLog) Errorf(format string, args ...any) {
	g.log.Error().Str("action", "gnet").Str("result", "fail").Msgf(format, args...)
}

// Fatalf does not end the process: what was accepted must be stored first.
func (g gnetLog) Fatalf(format string, args ...any) { g.Errorf(format, args...) }

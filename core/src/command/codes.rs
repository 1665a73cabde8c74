//! The codes of info objects that servers and clients are known to send.

use crate::amf0::Text;

macro_rules! codes {
    ($($constant:ident $variant:ident = $text:literal, $doc:literal;)*) => {
        /// The codes as text.
        pub mod code {
            $(#[doc = $doc] pub const $constant: &str = $text;)*
        }

        /// A code as a value. Unknown codes keep their text.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub enum Code<'a> {
            $(#[doc = $doc] $variant,)*
            /// A code that is not in the list.
            Other(Text<'a>),
        }

        const KNOWN: &[(&str, Code<'static>)] = &[$(($text, Code::$variant),)*];
    };
}

codes! {
    CALL_BAD_VERSION CallBadVersion = "NetConnection.Call.BadVersion", "A call was not encoded correctly.";
    CALL_FAILED CallFailed = "NetConnection.Call.Failed", "A command is unknown, or cannot be carried out.";
    CALL_PROHIBITED CallProhibited = "NetConnection.Call.Prohibited", "A command is not allowed.";
    CONNECT_APP_SHUTDOWN ConnectAppShutdown = "NetConnection.Connect.AppShutdown", "The application is shutting down.";
    CONNECT_CLOSED ConnectClosed = "NetConnection.Connect.Closed", "The connection was closed.";
    CONNECT_FAILED ConnectFailed = "NetConnection.Connect.Failed", "`connect` failed.";
    CONNECT_IDLE_TIMEOUT ConnectIdleTimeout = "NetConnection.Connect.IdleTimeout", "The client was idle for too long.";
    CONNECT_INVALID_APP ConnectInvalidApp = "NetConnection.Connect.InvalidApp", "There is no such application.";
    CONNECT_NETWORK_CHANGE ConnectNetworkChange = "NetConnection.Connect.NetworkChange", "The network has changed.";
    CONNECT_RECONNECT_REQUEST ConnectReconnectRequest = "NetConnection.Connect.ReconnectRequest",
        "The server asks the client to connect again (Enhanced RTMP).";
    CONNECT_REJECTED ConnectRejected = "NetConnection.Connect.Rejected", "`connect` was refused.";
    CONNECT_SUCCESS ConnectSuccess = "NetConnection.Connect.Success", "`connect` succeeded.";
    PROXY_NOT_RESPONDING ProxyNotResponding = "NetConnection.Proxy.NotResponding", "The proxy server does not respond.";
    BUFFER_EMPTY BufferEmpty = "NetStream.Buffer.Empty", "The buffer is empty.";
    BUFFER_FLUSH BufferFlush = "NetStream.Buffer.Flush", "The stream has ended, and the rest of the buffer is played.";
    BUFFER_FULL BufferFull = "NetStream.Buffer.Full", "The buffer is full, and playing begins.";
    DATA_START DataStart = "NetStream.Data.Start", "The data of a stream that is played begins.";
    STREAM_FAILED StreamFailed = "NetStream.Failed", "Something on a stream failed.";
    PAUSE_NOTIFY PauseNotify = "NetStream.Pause.Notify", "The stream pauses.";
    PLAY_COMPLETE PlayComplete = "NetStream.Play.Complete", "The stream has been played to its end.";
    PLAY_FAILED PlayFailed = "NetStream.Play.Failed", "Playing was refused.";
    PLAY_FILE_STRUCTURE_INVALID PlayFileStructureInvalid = "NetStream.Play.FileStructureInvalid", "The file is broken.";
    PLAY_INSUFFICIENT_BANDWIDTH PlayInsufficientBandwidth = "NetStream.Play.InsufficientBW",
        "Data arrives more slowly than it is played.";
    PLAY_NO_SUPPORTED_TRACK_FOUND PlayNoSupportedTrackFound = "NetStream.Play.NoSupportedTrackFound",
        "The file has no track that can be played.";
    PLAY_PUBLISH_NOTIFY PlayPublishNotify = "NetStream.Play.PublishNotify", "The stream is published now.";
    PLAY_RESET PlayReset = "NetStream.Play.Reset", "The server has discarded what was played before.";
    PLAY_START PlayStart = "NetStream.Play.Start", "Playing begins.";
    PLAY_STOP PlayStop = "NetStream.Play.Stop", "Playing has ended.";
    PLAY_STREAM_NOT_FOUND PlayStreamNotFound = "NetStream.Play.StreamNotFound", "There is no such stream.";
    PLAY_SWITCH PlaySwitch = "NetStream.Play.Switch", "The next stream of a playlist begins.";
    PLAY_TRANSITION PlayTransition = "NetStream.Play.Transition", "The server switches to another stream.";
    PLAY_UNPUBLISH_NOTIFY PlayUnpublishNotify = "NetStream.Play.UnpublishNotify", "The stream is not published any longer.";
    PUBLISH_BAD_NAME PublishBadName = "NetStream.Publish.BadName", "The stream key is in use, or is not valid.";
    PUBLISH_DENIED PublishDenied = "NetStream.Publish.Denied", "Publishing was refused.";
    PUBLISH_FAILED PublishFailed = "NetStream.Publish.Failed", "Publishing failed.";
    PUBLISH_IDLE PublishIdle = "NetStream.Publish.Idle", "The publisher sends nothing.";
    PUBLISH_START PublishStart = "NetStream.Publish.Start", "Publishing may begin.";
    RECORD_ALREADY_EXISTS RecordAlreadyExists = "NetStream.Record.AlreadyExists", "The recording exists already.";
    RECORD_DISK_QUOTA_EXCEEDED RecordDiskQuotaExceeded = "NetStream.Record.DiskQuotaExceeded", "The disk is full.";
    RECORD_FAILED RecordFailed = "NetStream.Record.Failed", "Recording failed.";
    RECORD_NO_ACCESS RecordNoAccess = "NetStream.Record.NoAccess", "The recording cannot be written.";
    RECORD_START RecordStart = "NetStream.Record.Start", "Recording begins.";
    RECORD_STOP RecordStop = "NetStream.Record.Stop", "Recording has ended.";
    SEEK_FAILED SeekFailed = "NetStream.Seek.Failed", "The stream cannot be played from there.";
    SEEK_INVALID_TIME SeekInvalidTime = "NetStream.Seek.InvalidTime", "There is no such position in the stream.";
    SEEK_NOTIFY SeekNotify = "NetStream.Seek.Notify", "The stream is played from another position.";
    UNPAUSE_NOTIFY UnpauseNotify = "NetStream.Unpause.Notify", "The stream continues.";
    UNPUBLISH_SUCCESS UnpublishSuccess = "NetStream.Unpublish.Success", "Publishing has ended.";
    VIDEO_DIMENSION_CHANGE VideoDimensionChange = "NetStream.Video.DimensionChange", "The picture has another size.";
}

impl<'a> Code<'a> {
    /// Returns the code with this text.
    pub fn of(text: Text<'a>) -> Code<'a> {
        let known = KNOWN.iter().find(|(known, _)| text == **known);
        known.map_or(Code::Other(text), |(_, code)| *code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_083_every_code_is_known_and_others_survive() {
        for (text, code) in KNOWN {
            assert_eq!(Code::of((*text).into()), *code);
            let unknown = Text::new(&text.as_bytes()[1..]);
            assert_eq!(Code::of(unknown), Code::Other(unknown));
        }
        assert_eq!(Code::of(code::PLAY_STREAM_NOT_FOUND.into()), Code::PlayStreamNotFound);
        assert_eq!(Code::of(Text::new(b"\xFF")), Code::Other(Text::new(b"\xFF")));
    }
}

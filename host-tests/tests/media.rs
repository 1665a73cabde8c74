//! FFmpeg decodes what the core makes of an encoder's output. `host-tests/run` installs FFmpeg, and runs the tests.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use embedded_rtmp::command::DataMessage;
use embedded_rtmp::media::audio::{self, Sound};
use embedded_rtmp::media::avc::annex_b::{START_CODE, Units, to_length_prefixed};
use embedded_rtmp::media::avc::prefixed::to_annex_b;
use embedded_rtmp::media::avc::{AvcConfig, Message, Sps, UnitType, sequence_header};
use embedded_rtmp::media::flv::Tags;
use embedded_rtmp::media::metadata::Metadata;
use embedded_rtmp::media::{FrameClass, aac, video};
use embedded_rtmp::message::MessageKind;
use host_tests::flv::Writer;
use host_tests::peers::finish_within;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(120);

/// A second of 25 pictures.
const PICTURES: usize = 25;

fn run(program: &str, arguments: &[&str], file: &Path, more: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(["-v", "error"]).args(arguments).arg(file).args(more);
    let finished = finish_within(LIMIT, &mut command).unwrap().successful().unwrap();
    String::from_utf8(finished.stdout).unwrap()
}

/// A file that FFmpeg encodes from a generated source.
fn made(directory: &TempDir, name: &str, arguments: &[&str]) -> PathBuf {
    let file = directory.path().join(name);
    run("ffmpeg", &[&["-nostdin"], arguments].concat(), &file, &[]);
    file
}

/// The MD5 of each decoded frame, or, of sound, of all samples.
fn decoded(input: &[&str], file: &Path, format: &str) -> Vec<String> {
    let text = run("ffmpeg", &[&["-nostdin"], input, &["-i"]].concat(), file, &["-f", format, "-"]);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
}

fn unit_type(unit: &[u8]) -> UnitType {
    UnitType::of(unit).unwrap()
}

/// The pictures of a byte stream in which each begins with an access unit delimiter.
fn pictures(stream: &[u8]) -> Vec<&[u8]> {
    let delimiter = [&START_CODE[..], &[UnitType::DELIMITER.0]].concat();
    let mut starts: Vec<usize> =
        stream.windows(5).enumerate().filter(|(_, five)| *five == delimiter).map(|at| at.0).collect();
    starts.push(stream.len());
    starts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect()
}

fn metadata(sps: Sps) -> Vec<u8> {
    let (width, height) = (Some(sps.width), Some(sps.height));
    let video_codec = Some(video::Codec::AVC.0.into());
    let encoder = Some("a camera".into());
    let metadata = Metadata { width, height, frame_rate: Some(25.0), video_codec, encoder, ..Metadata::new() };
    let mut buffer = [0; 512];
    DataMessage::parse(metadata.emit(&mut buffer).unwrap()).unwrap().body.to_vec()
}

/// Writes a byte stream into an FLV file, as a camera would send it.
fn camera(stream: &[u8]) -> Vec<u8> {
    let find = |kind| Units::new(stream).find(|unit| unit_type(unit) == kind).unwrap();
    let (sps, pps) = (find(UnitType::SPS), find(UnitType::PPS));
    let mut writer = Writer::new(Cursor::new(Vec::new())).unwrap();
    writer.write(MessageKind::DATA, 0, &metadata(Sps::parse(sps).unwrap())).unwrap();
    writer.write(MessageKind::VIDEO, 0, sequence_header(&[sps], &[pps], &mut [0; 256]).unwrap()).unwrap();
    for (index, picture) in pictures(stream).into_iter().enumerate() {
        let message = Message::<16>::new(Units::new(picture), 0).unwrap();
        let payload = message.parts().collect::<Vec<_>>().concat();
        // The conversion in place gives the same bytes. A start code of three bytes needs one byte more.
        let mut buffer = [picture, &[0; 16]].concat();
        let length = to_length_prefixed(&mut buffer, picture.len()).unwrap();
        assert_eq!(payload[video::HEADER_SIZE..], buffer[..length]);
        assert_eq!(FrameClass::of(MessageKind::VIDEO, &payload) == FrameClass::Keyframe, index == 0);
        writer.write(MessageKind::VIDEO, index as u32 * 40, &payload).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The reverse: a byte stream of the video of an FLV file.
fn player(file: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    for tag in Tags::file(file).unwrap().filter(|tag| tag.kind == MessageKind::VIDEO) {
        let (_, body) = video::VideoTagHeader::parse(tag.data).unwrap();
        if FrameClass::of(tag.kind, tag.data) == FrameClass::Configuration {
            let config = AvcConfig::parse(body).unwrap();
            assert_eq!(config.length_size, START_CODE.len());
            for set in config.sps().chain(config.pps()) {
                stream.extend([&START_CODE, set].concat());
            }
        } else {
            let mut picture = body.to_vec();
            to_annex_b(&mut picture).unwrap();
            stream.extend(picture);
        }
    }
    stream
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn item_110_item_111_an_encoders_byte_stream_decodes_to_the_same_pictures_from_flv() {
    let directory = tempfile::tempdir().unwrap();
    for (size, arguments) in [
        ("640x480", &["-profile:v", "baseline", "-pix_fmt", "yuv420p"][..]),
        ("322x182", &["-profile:v", "high", "-pix_fmt", "yuv420p"]),
        ("320x192", &["-profile:v", "high", "-pix_fmt", "yuv420p", "-flags", "+ildct"]),
        ("321x181", &["-profile:v", "high444", "-pix_fmt", "yuv444p"]),
        ("320x180", &["-profile:v", "high10", "-pix_fmt", "yuv420p10le"]),
    ] {
        let source = format!("testsrc=s={size}:r=25");
        let encoder = ["-c:v", "libx264", "-bf", "0", "-x264-params", "aud=1:slices=4", "-f", "h264"];
        let input = ["-f", "lavfi", "-i", &source, "-t", "1", "-y"];
        let h264 = made(&directory, "camera.h264", &[&input[..], &encoder, arguments].concat());
        let stream = fs::read(&h264).unwrap();
        // It contains start codes of both lengths.
        assert!(
            Units::new(&stream).count() > 4 * PICTURES
                && stream.windows(4).any(|four| four[0] != 0 && four[1..] == [0, 0, 1])
        );

        let (flv, again) = (directory.path().join("camera.flv"), directory.path().join("again.h264"));
        let file = camera(&stream);
        fs::write(&flv, &file).unwrap();
        fs::write(&again, player(&file)).unwrap();
        let expected = decoded(&[], &h264, "framemd5");
        assert_eq!(expected.len(), PICTURES, "{size}");
        assert!(decoded(&[], &flv, "framemd5") == expected, "{size} out of FLV");
        assert!(decoded(&[], &again, "framemd5") == expected, "{size} back in a byte stream");
        let entries = ["-show_entries", "stream=width,height:format_tags=encoder", "-of", "csv=p=0"];
        let found = run("ffprobe", &entries, &flv, &[]);
        assert_eq!(
            found.split_whitespace().collect::<Vec<_>>().join(" "),
            format!("{} a camera", size.replace('x', ","))
        );
    }
}

/// Writes audio frames of this duration into an FLV file.
fn sound<'f>(
    first: Option<&[u8]>,
    header: audio::AudioTagHeader,
    frames: impl IntoIterator<Item = &'f [u8]>,
    millis: u32,
) -> Vec<u8> {
    let mut writer = Writer::new(Cursor::new(Vec::new())).unwrap();
    if let Some(first) = first {
        writer.write(MessageKind::AUDIO, 0, first).unwrap();
    }
    let mut buffer = [0; audio::HEADER_SIZE];
    let header = header.emit(&mut buffer);
    for (index, frame) in frames.into_iter().enumerate() {
        writer.write(MessageKind::AUDIO, index as u32 * millis, &[header, frame].concat()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn item_110_g711_and_pcm_decode_to_the_same_samples_from_flv() {
    let directory = tempfile::tempdir().unwrap();
    for (format, rate, sound_header, bytes) in [
        ("mulaw", "8000", Sound::G711_MU_LAW, 160),
        ("alaw", "8000", Sound::G711_A_LAW, 160),
        ("s16le", "44100", Sound::pcm(44_100, true, false).unwrap(), 1_764),
        ("u8", "11025", Sound::pcm(11_025, false, false).unwrap(), 441),
    ] {
        let source = format!("sine=f=440:r={rate}");
        let raw = made(&directory, "sound.raw", &["-f", "lavfi", "-i", &source, "-t", "1", "-y", "-f", format]);
        let samples = fs::read(&raw).unwrap();
        let flv = directory.path().join("sound.flv");
        fs::write(&flv, sound(None, audio::AudioTagHeader::Other(sound_header), samples.chunks(bytes), 20)).unwrap();
        let expected = decoded(&["-f", format, "-ar", rate, "-ac", "1"], &raw, "md5");
        assert_eq!(decoded(&[], &flv, "md5"), expected, "{format}");
        let found = run("ffprobe", &["-show_entries", "stream=sample_rate,channels", "-of", "csv=p=0"], &flv, &[]);
        assert_eq!(found.trim(), format!("{rate},1"));
    }
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn item_110_aac_is_decoded_by_the_configuration_that_is_made_for_it() {
    let directory = tempfile::tempdir().unwrap();
    for (rate, channels) in [(44_100, 2), (48_000, 1), (16_000, 1), (8_000, 1)] {
        let source = format!("sine=f=440:r={rate}");
        let count = channels.to_string();
        let input = ["-f", "lavfi", "-i", &source, "-t", "1", "-y", "-ac", &count, "-c:a", "aac", "-f", "flv"];
        let theirs = made(&directory, "theirs.flv", &input);
        let file = fs::read(&theirs).unwrap();
        let tags: Vec<_> = Tags::file(&file).unwrap().filter(|tag| tag.kind == MessageKind::AUDIO).collect();
        let (first, frames) = tags.split_first().unwrap();
        assert_eq!(FrameClass::of(first.kind, first.data), FrameClass::Configuration);
        let config = aac::AacConfig::new(aac::ObjectType::LOW_COMPLEXITY, rate, channels);
        assert_eq!(aac::AacConfig::parse(audio::AudioTagHeader::parse(first.data).unwrap().1), Some(config));

        let mut buffer = [0; aac::BUFFER_SIZE];
        let header = config.sequence_header(&mut buffer).unwrap();
        let bodies = frames.iter().map(|tag| audio::AudioTagHeader::parse(tag.data).unwrap().1);
        let ours = directory.path().join("ours.flv");
        fs::write(
            &ours,
            sound(Some(header), audio::AudioTagHeader::Aac(audio::AacPacket::RAW), bodies, 1024 * 1000 / rate),
        )
        .unwrap();
        assert_eq!(decoded(&[], &ours, "md5"), decoded(&[], &theirs, "md5"), "{rate} Hz, {channels} channels");
    }
}

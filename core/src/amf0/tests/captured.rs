//! Messages that other programs sent.

use super::*;

/// FFmpeg's `connect`, before it publishes.
const CONNECT: &str = "020007636f6e6e656374003ff00000000000000300036170700200046c69766500047479706502000a6e6f6e70726976617\
    4650008666c617368566572020023464d4c452f332e302028636f6d70617469626c653b204c61766636332e312e313032290005746355726c02\
    001b72746d703a2f2f3132372e302e302e313a33303130322f6c697665000009";

/// nginx-rtmp's answer to `connect`.
const RESULT: &str = "0200075f726573756c74003ff0000000000000030006666d7356657202000d464d532f332c302c312c313233000c636170616\
    2696c697469657300403f0000000000000000090300056c6576656c0200067374617475730004636f646502001d4e6574436f6e6e656374696f\
    6e2e436f6e6e6563742e53756363657373000b6465736372697074696f6e020015436f6e6e656374696f6e207375636365656465642e000e6f6\
    26a656374456e636f64696e67000000000000000000000009";

/// FFmpeg's metadata of a file.
const METADATA: &str = "02000d40736574446174614672616d6502000a6f6e4d65746144617461080000000d00086475726174696f6e000000000000\
    000000000577696474680040740000000000000006686569676874004066800000000000000d766964656f646174617261746500405d4c000000\
    000000096672616d657261746500402e000000000000000c766964656f636f646563696400401c000000000000000d617564696f646174617261\
    746500403f400000000000000f617564696f73616d706c65726174650040e5888000000000000f617564696f73616d706c6573697a6500403000\
    0000000000000673746572656f0100000c617564696f636f64656369640040240000000000000007656e636f64657202000c4c61766636332e31\
    2e313032000866696c6573697a65000000000000000000000009";

/// rtmpdump's `connect`, with arguments of the user after the command object.
const ARGUMENTS: &str = "020007636f6e6e656374003ff0000000000000030003617070020005706c61696e000009010102000568656c6c6f030004\
    636f6465003ff3ae147ae147ae0004666c61670200026f6b000009";

#[test]
fn what_others_send_is_encoded_as_it_was() {
    for message in [CONNECT, RESULT, METADATA, ARGUMENTS] {
        let bytes = hex(message);
        let (tokens, result) = decode(&bytes);
        assert_eq!(result, Ok(()));
        check(&bytes, &tokens);
    }
}

#[test]
fn item_082_the_fields_of_a_result() {
    let bytes = hex(RESULT);
    let mut decoder = Decoder::new(&bytes);
    assert_eq!(decoder.next_token(), Ok(Some("_result".into())));
    assert_eq!(decoder.next_token().unwrap().and_then(|token| token.as_u32()), Some(1));
    decoder.skip_value().unwrap();
    assert!(decoder.next_token().unwrap().is_some_and(|token| token.opens_map()));
    let mut code = None;
    while let Some((key, value)) = decoder.next_property().unwrap() {
        if key == "code" {
            code = value.as_text();
        }
    }
    assert_eq!(code, Some("NetConnection.Connect.Success".into()));
    assert!(decoder.is_empty());
}

#[test]
fn item_063_metadata_of_a_file() {
    let bytes = hex(METADATA);
    let mut decoder = Decoder::new(&bytes);
    assert_eq!(decoder.next_token(), Ok(Some("@setDataFrame".into())));
    assert_eq!(decoder.next_token(), Ok(Some("onMetaData".into())));
    assert_eq!(decoder.next_token(), Ok(Some(Token::EcmaArrayStart { len: 13 })));
    let mut found = Vec::new();
    while let Some((key, value)) = decoder.next_property().unwrap() {
        found.push((key, value));
    }
    assert_eq!(found.len(), 13);
    assert_eq!(found[1], ("width".into(), 320.into()));
    assert_eq!(found[9], ("stereo".into(), false.into()));
    assert_eq!(found[11], ("encoder".into(), "Lavf63.1.102".into()));
}

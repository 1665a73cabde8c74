calls! {
    amf0:
    drive {
        amf0::Decoder::is_empty,
        amf0::Decoder::new,
        amf0::Decoder::next_property,
        amf0::Decoder::next_token,
        amf0::Decoder::rest,
        amf0::Decoder::skip_value,
        amf0::Encoder::finish,
        amf0::Encoder::is_empty,
        amf0::Encoder::len,
        amf0::Encoder::new,
        amf0::Encoder::property,
        amf0::Encoder::put,
        amf0::Encoder::put_all,
        amf0::Encoder::put_string_parts,
        amf0::Text::as_bytes,
        amf0::Text::is_empty,
        amf0::Text::len,
        amf0::Text::new,
        amf0::Text::to_str,
        amf0::Token::as_text,
        amf0::Token::as_u32,
        amf0::Token::opens_map,
        amf0::number_to_u32,
        amf0::u32_to_number,
        <amf0::Text as From<&str>>::from,
        <amf0::Text as PartialEq<&str>>::eq,
        <amf0::Text as PartialEq<str>>::eq,
        <amf0::Token as From<&str>>::from,
        <amf0::Token as From<amf0::Text>>::from,
        <amf0::Token as From<bool>>::from,
        <amf0::Token as From<f64>>::from,
        <amf0::Token as From<u32>>::from,
    }
    drive_as {}
    display {
        amf0::BufferFull,
        amf0::DecodeError,
        amf0::Text,
    }
    format {
        amf0::BufferFull,
        amf0::DecodeError,
        amf0::Decoder,
        amf0::Encoder,
        amf0::Text,
        amf0::Token,
    }
}

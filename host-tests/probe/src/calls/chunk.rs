calls! {
    chunk:
    drive {
        chunk::Assembler::abort,
        chunk::Assembler::new,
        chunk::Assembler::push,
        chunk::ChunkStreamId::new,
        chunk::ChunkStreamId::value,
        chunk::Fragment::is_first,
        chunk::Fragment::is_last,
        chunk::Reader::<8>::abort,
        chunk::Reader::<8>::is_at_boundary,
        chunk::Reader::<8>::new,
        chunk::Reader::<8>::next_fragment,
        chunk::Reader::<8>::set_chunk_size,
        chunk::Reader::<8>::set_type_three_delta,
        chunk::Writer::<8>::begin,
        chunk::Writer::<8>::chunk_size,
        chunk::Writer::<8>::has_open,
        chunk::Writer::<8>::is_at_boundary,
        chunk::Writer::<8>::left,
        chunk::Writer::<8>::new,
        chunk::Writer::<8>::open_chunk,
        chunk::Writer::<8>::poll,
        chunk::Writer::<8>::set_chunk_size,
        chunk::header::ChunkHeader::emit,
        chunk::header::ChunkHeader::parse,
        chunk::header::ChunkMessageHeader::time_field,
        chunk::header::size,
        <chunk::Assembler as Default>::default,
        <chunk::Reader<8> as Default>::default,
        <chunk::Writer<8> as Default>::default,
    }
    drive_as {}
    display {
        chunk::ChunkStreamId,
        chunk::ReadError,
        chunk::WriteError,
    }
    format {
        chunk::Assembled,
        chunk::Assembler,
        chunk::ChunkStreamId,
        chunk::Fragment,
        chunk::ReadError,
        chunk::Reader<8>,
        chunk::TypeThreeDelta,
        chunk::WriteError,
        chunk::Writer<8>,
        chunk::header::ChunkHeader,
        chunk::header::ChunkMessageHeader,
    }
}
